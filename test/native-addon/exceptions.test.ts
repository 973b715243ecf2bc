/** C++ exceptions and half-built objects: errors of JavaScript at the call, never the end of the process. */
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import type { NativeBuffer, NativeParameters, NativeStream } from "../../src/native/addon.js";
import { addonPath, loadAddon } from "../../src/native/load.js";

const addon = loadAddon();
const invalid = expect.objectContaining({ code: "MEDMAMBA_INVALID_ARGUMENT" });

/** Runs `node` as a user who may have few threads. */
function withFewThreads(body: string) {
  const user = ["--reuid=54321", "--regid=54321", "--clear-groups"];
  const program = `const addon = require(${JSON.stringify(addonPath())}); const open = (threads) => {
    try { return addon.openStream("cpu", { threads }); } catch ({ code, message }) { return { code, message }; } };
    ${body}; process.exit(0);`;
  return spawnSync(
    "setpriv",
    [...user, "bash", "-c", 'ulimit -u 60 && exec "$0" -e "$1"', process.execPath, program],
    {
      encoding: "utf8",
      timeout: 60_000,
      killSignal: "SIGKILL",
    },
  );
}

const limited = process.getuid?.() === 0 && withFewThreads("console.log(1)").stdout === "1\n";
if (!limited)
  console.error(
    "NOT TESTED: threads that the system refuses, because this user cannot be limited (root, setpriv and bash).",
  );

describe.runIf(limited)("where the system gives few threads", () => {
  it("a device says how many there are, and what to do", () => {
    const { stdout, status } = withFewThreads("console.log(JSON.stringify(open(256)))");
    expect(status).toBe(0);
    const { code, message } = JSON.parse(stdout) as { code: string; message: string };
    expect(code).toBe("MEDMAMBA_NO_DEVICE");
    expect(message).toMatch(/^only \d+ of 256 threads could be had: .*MEDMAMBA_THREADS$/);
  });
  it("many devices end in an error, not in the end of the process", () => {
    const body = "const all = []; do all.push(open(1)); while (!all.at(-1).code && all.length < 300);";
    const { stdout, status } = withFewThreads(`${body} console.log(all.at(-1).code)`);
    expect({ stdout, status }).toEqual({ stdout: "MEDMAMBA_NO_DEVICE\n", status: 0 });
  });
});

describe("parameters that run code while they are read", () => {
  it("may close the stream", () => {
    const stream = addon.openStream("cpu", { threads: 1 });
    const y = stream.allocate(4);
    const parameters = {
      count: 1,
      y,
      get value() {
        stream.close();
        return 1;
      },
    };
    expect(() => stream.call("fill", parameters)).toThrow(
      expect.objectContaining({ code: "MEDMAMBA_DISPOSED" }),
    );
  });
  it("may close it from within a list, shorten the list, plan for it, or begin a capture", () => {
    const call = (spoil: (stream: NativeStream, list: NativeBuffer[]) => void) => {
      const stream = addon.openStream("cpu", { threads: 1 });
      const y = stream.allocate(64);
      const list = [y, y];
      const get = () => {
        spoil(stream, list);
        return y;
      };
      Object.defineProperty(list, 0, { get, configurable: true });
      const numbers = { learning_rate: 1, momentum: 0, dampening: 0, weight_decay: 0 };
      const lists = { counts: [1, 1], parameters: list, gradients: [y, y] };
      try {
        stream.call("sgd", { ...numbers, nesterov: false, first_step: true, ...lists } as NativeParameters);
      } finally {
        stream.abandonCapture();
        stream.close();
      }
    };
    const disposed = expect.objectContaining({ code: "MEDMAMBA_DISPOSED" });
    expect(() => call((stream) => stream.close())).toThrow(disposed);
    expect(() => call((_, list) => (list.length = 1))).toThrow(invalid);
    expect(() => call((stream) => stream.beginCapture())).toThrow(invalid);
    const stream = addon.openStream("cpu", { threads: 1 });
    const sizes = {
      ...{ batch: 1, height: 2, width: 2, channels: 4, states: 2 },
      get rank() {
        stream.close();
        return 1;
      },
    };
    expect(() => addon.plan(stream, "ss2d", sizes)).toThrow(disposed);
  });
  it("may call the stream, which keeps the order of the calls that ended", async () => {
    const stream = addon.openStream("cpu", { threads: 1 });
    const y = stream.allocate(4);
    const outer = {
      ...{ count: 1, y },
      get value() {
        stream.call("fill", { count: 1, y, value: 5 });
        return 1;
      },
    };
    stream.call("fill", outer);
    const target = new Float32Array(1);
    await stream.download(y, target);
    expect(target[0]).toBe(1);
    stream.close();
  });
  it("may be sparse, or too large to plan", () => {
    const stream = addon.openStream("cpu", { threads: 1 });
    const counts = new Array<number>(2 ** 32 - 1);
    const call = () => stream.call("sgd", { counts, parameters: [], gradients: [] } as NativeParameters);
    expect(call).toThrow(invalid);
    const huge = { batch: 2 ** 31, height: 2 ** 31, width: 2 ** 31, channels: 64, states: 16, rank: 4 };
    expect(() => addon.plan(stream, "ss2d", huge)).toThrow(
      expect.objectContaining({ code: "MEDMAMBA_OUT_OF_MEMORY" }),
    );
    stream.close();
  });
  it("are text where text belongs, and memory that stays where memory is written to", () => {
    const stream = addon.openStream("cpu", { threads: 1 });
    expect(() => stream.call(Symbol("fill") as never, {})).toThrow(invalid);
    expect(() => addon.plan(stream, Symbol("ss2d") as never, {} as never)).toThrow(invalid);
    const resizable = Reflect.construct(ArrayBuffer, [16, { maxByteLength: 32 }]) as ArrayBuffer;
    expect(() => stream.download(stream.allocate(16), new Uint8Array(resizable))).toThrow(invalid);
    stream.close();
  });
  it("are as long as they are now: shrunk, grown and detached arrays do not fill what they filled before", async () => {
    const stream = addon.openStream("cpu", { threads: 1 });
    const shrinking = Reflect.construct(ArrayBuffer, [16, { maxByteLength: 32 }]) as ArrayBuffer;
    const [fixed, following] = [new Float32Array(shrinking, 0, 4), new Float32Array(shrinking)];
    (shrinking as ArrayBuffer & { resize(bytes: number): void }).resize(4);
    const detached = new Float32Array(4);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    const buffer = stream.allocate(16);
    const before = new Float32Array([1, 2, 3, 4]);
    stream.upload(buffer, before);
    for (const source of [fixed, following, detached]) {
      try {
        stream.upload(buffer, source);
      } catch (error) {
        expect(error).toMatchObject({ code: "MEDMAMBA_INVALID_ARGUMENT" });
      }
    }
    const growing = Reflect.construct(SharedArrayBuffer, [16, { maxByteLength: 64 }]) as SharedArrayBuffer;
    const target = new Float32Array(growing, 0, 4);
    const reading = stream.download(buffer, target);
    (growing as SharedArrayBuffer & { grow(bytes: number): void }).grow(64);
    await reading;
    expect([...target].slice(1)).toEqual([2, 3, 4]);
    stream.close();
  });
});
