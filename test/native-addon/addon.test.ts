import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, it } from "vitest";
import type { NativeParameters, NativeStream } from "../../src/native/addon.js";
import { addonPath, loadAddon } from "../../src/native/load.js";
import { repository } from "../support/repository.js";

const addon = loadAddon();
const mebibyte = 2 ** 20;

const open: NativeStream[] = [];
function openStream(options: { threads?: number; simd?: string } = {}): NativeStream {
  const stream = addon.openStream("cpu", { threads: 1, ...options });
  open.push(stream);
  return stream;
}
afterEach(() => {
  for (const stream of open.splice(0)) stream.close();
});

function uploaded(stream: NativeStream, values: readonly number[]) {
  const data = Float32Array.from(values);
  const buffer = stream.allocate(data.byteLength);
  stream.upload(buffer, data);
  return buffer;
}

async function downloaded(stream: NativeStream, buffer: { byteLength: number }): Promise<number[]> {
  const data = new Float32Array(buffer.byteLength / 4);
  await stream.download(buffer as Parameters<NativeStream["download"]>[0], data);
  return [...data];
}

/** Code that runs in a process or worker of its own, with `addon` and an open `stream`. */
function program(body: string): string {
  return `
    const addon = require(${JSON.stringify(addonPath())});
    const stream = addon.openStream("cpu", { threads: 2 });
    const large = stream.allocate(${64 * mebibyte});
    const work = (times) => {
      for (let i = 0; i < times; i++) stream.call("fill", { count: ${16 * mebibyte}, value: i, y: large });
    };
    ${body}`;
}

function runProgram(body: string) {
  return spawnSync(process.execPath, ["--eval", program(body)], { encoding: "utf8", timeout: 30_000 });
}

describe("opening a stream", () => {
  it.each(addon.simdLevels)("runs SIMD level %s", async (simd) => {
    const stream = openStream({ simd, threads: 2 });
    expect(stream.backend).toBe("cpu");
    expect(stream.describe()).toMatchObject({ simd, threads: 2 });
    const x = uploaded(stream, [1, 2, 3]);
    stream.call("affine", { count: 3, scale: 2, shift: 1, x, y: x });
    expect(await downloaded(stream, x)).toEqual([3, 5, 7]);
  });

  it("takes level and threads from the environment", () => {
    process.env.MEDMAMBA_SIMD = "portable";
    process.env.MEDMAMBA_THREADS = "3";
    try {
      expect(openStream({ threads: 0 }).describe()).toMatchObject({ simd: "portable", threads: 3 });
      process.env.MEDMAMBA_THREADS = "many";
      expect(() => openStream({ threads: 0 })).toThrow(/MEDMAMBA_THREADS is "many"/);
    } finally {
      delete process.env.MEDMAMBA_SIMD;
      delete process.env.MEDMAMBA_THREADS;
    }
  });

  it("says why a stream cannot be opened", async () => {
    const noDevice = (message: RegExp) =>
      expect.objectContaining({ code: "MEDMAMBA_NO_DEVICE", message: expect.stringMatching(message) });
    expect(() => addon.openStream("cpu", { simd: "mmx" })).toThrow(noDevice(/no SIMD level "mmx"/));
    expect(() => addon.openStream("cpu", { deviceIndex: 1 })).toThrow(
      noDevice(/one CPU device, index 0, not 1/),
    );
    expect(() => addon.openStream("/no/library.so", {})).toThrow(
      noDevice(/could not be loaded.*\/no\/library.so/),
    );
  });
});

describe("call", () => {
  it("knows every operation of the C interface", async () => {
    const header = await readFile(join(repository, "native/backend/backend.h"), "utf8");
    const table = header.slice(
      header.indexOf("#define MM_OPERATIONS"),
      header.indexOf("typedef struct mm_backend {"),
    );
    const operations = [...table.matchAll(/F\(([a-z]\w+)\)/g)].map((match) => match[1]!);
    expect(operations.length).toBeGreaterThan(40);
    const composed = ["ss2d_forward", "ss2d_backward", "ss_conv_ssm_forward", "ss_conv_ssm_backward"];
    const stream = openStream();
    for (const operation of [...operations.filter((name) => name !== "name"), ...composed])
      expect(() => stream.call(operation, {})).toThrow(new RegExp(`^${operation}: "\\w+" is missing`));
  });

  it.each(["dtype", "unary", "binary", "distribution"] as const)(
    "takes every %s of the C interface by its name",
    async (kind) => {
      const header = await readFile(join(repository, "native/backend/backend.h"), "utf8");
      const [, body] = header.match(new RegExp(`typedef enum mm_${kind}(?:_op)? \\{([^}]*)\\}`))!;
      const values = [...body!.replace(/\/\*.*?\*\//gs, "").matchAll(/MM_\w+ = (\d+)/g)].map(([, n]) =>
        Number(n),
      );
      expect(values.length).toBeGreaterThan(3);
      expect(Object.values(addon.constants[kind]).sort()).toEqual(values);
    },
  );

  it("reads numbers, booleans, arrays, lists and nested objects", async () => {
    const stream = openStream();
    const x = uploaded(stream, [1, 2, 3, 4, 5, 6]);
    const y = stream.allocate(24);
    const transposed = {
      dimensions: 2,
      element_size: 4,
      shape: [3, 2],
      x_strides: [1, 3],
      y_strides: [2, 1],
    };
    stream.call("copy", { ...transposed, x_offset: 0, y_offset: 0, x, y });
    expect(await downloaded(stream, y)).toEqual([1, 4, 2, 5, 3, 6]);

    const parameters = [uploaded(stream, [1, 2]), uploaded(stream, [3])];
    const averages = [uploaded(stream, [0, 0]), uploaded(stream, [1])];
    stream.call("moving_average", { counts: [2, 1], parameters, averages, decay: 0.5 });
    expect(await downloaded(stream, averages[0]!)).toEqual([0.5, 1]);
    expect(await downloaded(stream, averages[1]!)).toEqual([2]);

    const softmax = { rows: 1, channels: 2, logarithm: false, x: uploaded(stream, [0, 0]), y };
    stream.call("softmax_forward", softmax);
    expect((await downloaded(stream, y)).slice(0, 2)).toEqual([0.5, 0.5]);
  });

  it("refuses what does not fit, naming operation and field", () => {
    const stream = openStream();
    const y = stream.allocate(16);
    const foreign = openStream().allocate(16);
    const gone = stream.allocate(16);
    gone.dispose();
    const cases: [string, NativeParameters, string][] = [
      ["fil", {}, "fil: there is no such operation"],
      ["fill", { count: 4, y }, 'fill: "value" is missing'],
      ["fill", { count: 4, value: undefined, y }, 'fill: "value" is missing'],
      ["fill", { count: 4, value: 1, z: y }, 'fill: "z" is not a field of this operation'],
      ["fill", { count: 0.5, value: 1, y }, 'fill: "count" has to be a whole number, but is 0.5'],
      ["fill", { count: Number.NaN, value: 1, y }, 'fill: "count" has to be a whole number, but is NaN'],
      ["fill", { count: 4, value: y, y }, 'fill: "value" has to be a number, but is an object'],
      ["fill", { count: 4, value: 1, y: 4 }, 'fill: "y" has to be a buffer, but is 4'],
      ["fill", { count: 4, value: 1, y: {} }, 'fill: "y" has to be a buffer, but is an object'],
      ["fill", { count: 4, value: 1, y: foreign }, 'fill: "y" is memory of another stream'],
      ["unary", { op: 2 ** 31, count: 1, x: y, y }, 'unary: "op" does not fit 32 bits'],
      [
        "moving_average",
        { counts: [1], parameters: [y, y], averages: [y], decay: 0 },
        'moving_average: "parameters" has 2 buffers, but "counts" has 1 numbers',
      ],
    ];
    for (const [operation, parameters, message] of cases)
      expect(() => stream.call(operation, parameters)).toThrow(
        expect.objectContaining({ name: "TypeError", code: "MEDMAMBA_INVALID_ARGUMENT", operation, message }),
      );
    expect(() => stream.call("fill", { count: 4, value: 1, y: gone })).toThrow(
      expect.objectContaining({ code: "MEDMAMBA_DISPOSED", message: 'fill: "y" has been disposed' }),
    );
    const dimensions = { batch: 1, height: 1, width: 1, channels: 1, states: 1, rank: 1 };
    expect(() =>
      stream.call("ss2d_forward", { ...dimensions, x: y, weights: { in_proj_weight: 1 }, y }),
    ).toThrow('ss2d_forward: "weights.in_proj_weight" has to be a buffer, but is 1');
  });

  it("plans the composed operations", () => {
    const dimensions = { batch: 2, height: 4, width: 4, channels: 8, states: 16, rank: 1 };
    const plan = addon.plan(openStream(), "ss_conv_ssm", dimensions);
    for (const floats of Object.values(plan)) expect(floats).toBeGreaterThan(2 * 16 * 8);
    expect(() => addon.plan(openStream(), "ss2d", { batch: 2 })).toThrow('ss2d: "height" is missing');
    expect(() => addon.plan(openStream(), "fill", dimensions)).toThrow("there is no plan");
  });
});

describe("failures of queued work", () => {
  it("reject the next wait with the first operation that failed, and no later one", async () => {
    const stream = openStream();
    const logits = uploaded(stream, [1, 2]);
    const labels = stream.allocate(8);
    const loss = stream.allocate(4);
    const probabilities = stream.allocate(8);
    const crossEntropy = { rows: 1, classes: 2, label_smoothing: 0, logits, labels, loss, probabilities };
    stream.upload(labels, BigInt64Array.of(7n));
    stream.call("cross_entropy_forward", crossEntropy);
    stream.call("fill", { count: 2, value: 5, y: logits });
    await expect(stream.synchronize()).rejects.toMatchObject({
      code: "MEDMAMBA_INVALID_ARGUMENT",
      operation: "cross_entropy_forward",
      message: expect.stringMatching(/^cross_entropy_forward: .*7/),
    });
    expect(await downloaded(stream, logits)).toEqual([5, 5]);
  });
});

describe("transfers", () => {
  it("copy the source at the call and arrive in order", async () => {
    const stream = openStream();
    const source = Float32Array.of(1, 2, 3, 4);
    const buffer = stream.allocate(16);
    stream.upload(buffer, source);
    source.fill(9);
    const first = downloaded(stream, buffer);
    stream.upload(buffer.view(4, 8), new DataView(Float32Array.of(7, 8).buffer));
    expect(await first).toEqual([1, 2, 3, 4]);
    expect(await downloaded(stream, buffer)).toEqual([1, 7, 8, 4]);
    expect(await downloaded(stream, buffer.view(8, 4))).toEqual([8]);
  });

  it("refuse more bytes than the buffer has", () => {
    const stream = openStream();
    const buffer = stream.allocate(8);
    expect(() => stream.upload(buffer, new Float32Array(3))).toThrow(
      /host's side has 12 bytes, the buffer 8/,
    );
    expect(() => stream.download(buffer, new Float32Array(3))).toThrow(
      /host's side has 12 bytes, the buffer 8/,
    );
    expect(() => buffer.view(4, 8)).toThrow(/do not lie in a buffer of 8 bytes/);
  });
});

describe("memory", () => {
  it("counts what is in use, and takes back at once what is disposed", async () => {
    const stream = openStream();
    const buffer = stream.allocate(1000);
    const view = buffer.view(0, 500);
    expect(stream.memory()).toMatchObject({ live: 1, liveBytes: 1000, peakBytes: 1000 });
    buffer.dispose();
    buffer.dispose();
    expect(buffer.disposed).toBe(true);
    expect(view.disposed).toBe(false);
    expect(() => buffer.view(0, 1)).toThrow(expect.objectContaining({ code: "MEDMAMBA_DISPOSED" }));
    expect(stream.memory()).toMatchObject({ live: 1, liveBytes: 1000 });
    view.dispose();
    expect(stream.memory()).toMatchObject({ live: 0, liveBytes: 0, peakBytes: 1000 });

    const { reservedBytes } = stream.memory();
    for (let step = 0; step < 10; step++) {
      const values = uploaded(
        stream,
        Array.from({ length: 250 }, () => step),
      );
      expect((await downloaded(stream, values))[249]).toBe(step);
      values.dispose();
    }
    expect(stream.memory().reservedBytes).toBe(reservedBytes);
  });

  it("is reused in the order of the work", async () => {
    const stream = openStream();
    const count = 4 * mebibyte;
    const sums: Promise<number[]>[] = [];
    for (let i = 0; i < 8; i++) {
      const block = stream.allocate(4 * count);
      const sum = stream.allocate(4);
      stream.call("fill", { count, value: i, y: block });
      stream.call("reduce", { outer: 1, reduced: count, inner: 1, scale: 1 / count, x: block, y: sum });
      sums.push(downloaded(stream, sum));
      block.dispose();
      sum.dispose();
    }
    expect(await Promise.all(sums)).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((mean) => [mean]));
    expect(stream.memory().reservedBytes).toBeLessThan(5 * count);
  });

  it("goes back to the system when sizes change for good", async () => {
    const stream = openStream();
    for (let size = 32; size < 512; size *= 1.5) {
      const blocks = [1, 2, 3].map(() => stream.allocate(Math.round(size) * mebibyte));
      for (const block of blocks) block.dispose();
    }
    const { peakBytes, reservedBytes } = stream.memory();
    expect(reservedBytes).toBeLessThanOrEqual(2 * peakBytes + 64 * mebibyte);
  });

  it("says how much was asked for and is in use when there is none left", () => {
    const stream = openStream();
    stream.allocate(1000);
    expect(() => stream.allocate(2 ** 52)).toThrow(
      expect.objectContaining({
        code: "MEDMAMBA_OUT_OF_MEMORY",
        message: expect.stringMatching(/4503599627370496 bytes .*1000 bytes .*in use.*reserved/),
      }),
    );
    expect(stream.allocate(1000).byteLength).toBe(1000);
  });

  it("of forgotten handles is found by the garbage collector", async () => {
    const stream = openStream();
    for (let i = 0; i < 200; i++) {
      stream.allocate(16 * mebibyte);
      await sleep(0);
    }
    expect(stream.memory().live).toBeLessThan(150);
  });
});

describe("the end of a stream", () => {
  it("rejects what was pending, and everything afterwards", async () => {
    const stream = openStream();
    const buffer = stream.allocate(16 * mebibyte);
    for (let i = 0; i < 100; i++) stream.call("fill", { count: 4 * mebibyte, value: i, y: buffer });
    const pending = stream.synchronize();
    stream.close();
    stream.close();
    await expect(pending).rejects.toMatchObject({ code: "MEDMAMBA_DISPOSED" });
    expect(buffer.disposed).toBe(true);
    expect(() => stream.allocate(1)).toThrow(expect.objectContaining({ code: "MEDMAMBA_DISPOSED" }));
    expect(() => stream.call("fill", {})).toThrow(expect.objectContaining({ code: "MEDMAMBA_DISPOSED" }));
    expect(stream.memory()).toMatchObject({ reservedBytes: 0 });
  });

  it.each([
    ["ends by itself, the stream left open", "work(3);", 0],
    [
      "exits in the middle of work",
      "work(500); stream.synchronize(); setTimeout(() => process.exit(3), 20);",
      3,
    ],
    ["throws in the middle of work", "work(500); stream.synchronize(); throw new Error('on purpose');", 1],
  ])("does no harm when the process %s", (_, body, status) => {
    const result = runProgram(body);
    expect({ status: result.status, signal: result.signal }).toEqual({ status, signal: null });
  });

  it("waits for pending downloads before the process ends", () => {
    const result = runProgram(`
      work(5);
      const target = new Float32Array(1);
      stream.download(large, target).then(() => console.log("value", target[0]));`);
    expect(result.stdout).toBe("value 4\n");
    expect(result.status).toBe(0);
  });

  it("comes with the end of its worker, whatever others do", async () => {
    const workers = [0, 1, 2].map(
      () =>
        new Worker(
          program(
            `work(200); stream.synchronize(); require("node:worker_threads").parentPort.postMessage(1);`,
          ),
          { eval: true },
        ),
    );
    await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once("message", resolve))));
    const stream = openStream();
    const x = uploaded(stream, [1]);
    const exits = workers.map((worker) => worker.terminate());
    stream.call("affine", { count: 1, scale: 2, shift: 1, x, y: x });
    expect(await downloaded(stream, x)).toEqual([3]);
    expect(await Promise.all(exits)).toEqual([1, 1, 1]);
  });
});
