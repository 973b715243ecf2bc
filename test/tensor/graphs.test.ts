/**
 * Graphs: what is launched gives the bits of what is called, whatever changed in between; a graph's memory is its own until
 * it is disposed; what fails in a graph fails as it would outside. On the emulator, which refuses what CUDA refuses while a
 * stream is captured, and on the CPU, which repeats the calls.
 */
import { describe, expect, it } from "vitest";
import { ArgumentError, DisposedError, OperationError, OutOfMemoryError } from "../../src/errors.js";
import {
  batchNorm,
  captureGraph,
  crossEntropy,
  dropout,
  type Graph,
  GraphedFunction,
  linear,
  manualSeed,
  ones,
  optim,
  randn,
  softmax,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from "../../src/index.js";
import { hasEmulatedCuda } from "../support/backends.js";
import { expectSameBits } from "../support/closeness.js";
import { device, kinds, problem, sharedDevice } from "../support/graph-devices.js";

describe.each(kinds)("a captured graph on %s", (kind) => {
  it("does its work when it is captured, and again for each launch, on what its inputs hold then", async () => {
    const on = sharedDevice(kind);
    const x = tensor([1, 2, 3], [3], { device: on });
    const total = zeros([3], { device: on });
    const graph = captureGraph(on, () => {
      const doubled = x.mul(2);
      total.copyFrom(total.add(doubled));
      return { doubled, list: [total.sum()] };
    });
    expect(await graph.result.doubled.data()).toEqual(Float32Array.of(2, 4, 6));
    expect(await total.data()).toEqual(Float32Array.of(2, 4, 6));
    x.upload(Float32Array.of(10, 20, 30));
    const { list } = graph.launch();
    expect(await total.data()).toEqual(Float32Array.of(22, 44, 66));
    expect(await list[0]!.item()).toBe(132);
    graph.dispose();
    graph.dispose();
    expect(problem(() => graph.launch())).toBeInstanceOf(DisposedError);
    expect(problem(() => captureGraph(on, () => 0, { shareMemoryWith: graph }))).toBeInstanceOf(
      ArgumentError,
    );
  });

  it("goes on with the generator where it stands, for dropout forward and backward", async () => {
    const on = sharedDevice(kind);
    const program = () => {
      const x = ones([5, 9], { device: on, requiresGrad: true });
      const y = dropout(dropout(x, 0.3), 0.2).mul(randn([5, 9], { device: on }));
      y.backward({ gradient: ones([5, 9], { device: on }) });
      return { y, x, dx: x.grad! };
    };
    manualSeed(5);
    const expected: Float32Array[] = [];
    for (let launch = 0; launch < 3; launch += 1) {
      const { y, dx } = program();
      expected.push(await y.data(), await dx.data());
    }
    manualSeed(5);
    const graph = captureGraph(on, program);
    const actual = [await graph.result.y.data(), await graph.result.dx.data()];
    for (let launch = 1; launch < 3; launch += 1) {
      const { y, dx } = graph.launch();
      actual.push(await y.data(), await dx.data());
    }
    expect(expected[0]).not.toEqual(expected[2]);
    for (const [i, values] of actual.entries()) await expectSameBits(values, expected[i]!, `value ${i}`);
    manualSeed(5);
    await expectSameBits(graph.launch().y, expected[0]!, "after manualSeed");
    graph.dispose();
  });

  it.each([
    ["AdamW", (parameters: Tensor[]) => new optim.AdamW(parameters, { lr: 0.1 })],
    ["SGD", (parameters: Tensor[]) => new optim.SGD(parameters, { lr: 0.1, momentum: 0.9 })],
  ])("steps as %s does, with clipping and another learning rate each time", async (_, make) => {
    const on = sharedDevice(kind);
    const run = async (graphs: boolean): Promise<Float32Array[]> => {
      manualSeed(2);
      const weight = randn([3, 6], { device: on, requiresGrad: true });
      const running = { mean: zeros([3], { device: on }), variance: ones([3], { device: on }) };
      const [scale, shift] = [ones([3], { device: on }), zeros([3], { device: on })];
      const x = randn([4, 6], { device: on });
      const labels = tensor([0, 2, 1, 0], [4], { dtype: "int64", device: on });
      const optimizer = make([weight]);
      const step = () => {
        optimizer.zeroGrad();
        const y = batchNorm(linear(dropout(x, 0.3), weight), scale, shift, running, { training: true });
        const loss = crossEntropy(y, labels);
        loss.backward();
        const norm = optimizer.clipGradNorm(0.2);
        optimizer.step();
        return { loss, norm };
      };
      const graph = graphs ? captureGraph(on, step) : undefined;
      const values: Float32Array[] = [];
      for (let i = 0; i < 5; i += 1) {
        const { loss, norm } = i === 0 && graph ? graph.result : graph ? graph.launch() : step();
        values.push(await loss.data(), await norm.data(), await weight.grad!.data());
        optimizer.lr *= 0.7;
      }
      expect(optimizer.stepCount).toBe(5);
      graph?.dispose();
      return [...values, await weight.data(), await running.mean.data(), await running.variance.data()];
    };
    const expected = await run(false);
    for (const [i, values] of (await run(true)).entries())
      await expectSameBits(values, expected[i]!, `value ${i}`);
  });

  it("keeps the memory that it uses, whatever is disposed, until it is disposed itself", async () => {
    const on = device(kind);
    const before = on.memory();
    const x = tensor([1, 2, 3, 4], [4], { device: on });
    const weight = tensor([2, 2, 2, 2], [4], { device: on });
    const graph = captureGraph(on, () => x.mul(weight).add(1));
    weight.dispose();
    // Whoever gets memory of that size now must not get the graph's.
    const others = Array.from({ length: 20 }, (_, i) => tensor([i, i, i, i], [4], { device: on }));
    x.upload(Float32Array.of(5, 6, 7, 8));
    expect(await graph.launch().data()).toEqual(Float32Array.of(11, 13, 15, 17));
    for (const [i, other] of others.entries()) expect((await other.data())[3]).toBe(i);
    const copy = graph.result.detach();
    graph.result.dispose();
    expect(await copy.data()).toEqual(Float32Array.of(11, 13, 15, 17));
    copy.dispose();
    graph.dispose();
    for (const made of [x, ...others]) made.dispose();
    expect(on.memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
  });

  it("shares memory with a graph that is of use in turn", async () => {
    const on = device(kind);
    const capture = (shareMemoryWith?: Graph<Tensor>): Graph<Tensor> =>
      captureGraph(on, () => tidy(() => randn([1000], { device: on }).mul(2).sum()), { shareMemoryWith });
    const first = capture();
    const reserved = on.memory().reservedBytes;
    const second = capture(first);
    const more = on.memory().reservedBytes - reserved;
    expect(more).toBeLessThan(1000);
    first.dispose();
    expect(Number.isFinite(await second.launch().item())).toBe(true);
    second.dispose();
  });

  it("takes no more memory for 200 launches", async () => {
    const on = device(kind);
    const x = randn([6, 5], { device: on });
    const graph = captureGraph(on, () => softmax(x));
    await on.synchronize();
    const { tensors, bytes, reservedBytes } = on.memory();
    const free = kind === "cpu" ? undefined : on.describe().freeBytes;
    for (let launch = 0; launch < 200; launch += 1) graph.launch();
    await on.synchronize();
    expect(on.memory()).toMatchObject({ tensors, bytes, reservedBytes });
    if (free !== undefined) expect(on.describe().freeBytes).toBe(free);
    graph.dispose();
  });

  it("refuses host data, reading, and a capture within a capture, and the device goes on", async () => {
    const on = sharedDevice(kind);
    const x = ones([2], { device: on });
    const inside: [string, () => unknown][] = [
      ["upload", () => tensor([1, 2], [2], { device: on })],
      ["beginCapture", () => captureGraph(on, () => 0)],
      ["startProfile", () => on.startProfile()],
    ];
    for (const [operation, body] of inside) {
      const error = problem(() => captureGraph(on, body));
      expect(error).toBeInstanceOf(OperationError);
      expect(error).toMatchObject({ code: "MEDMAMBA_UNSUPPORTED", operation });
      expect(error.message).toContain("while a graph is captured");
    }
    const graph = captureGraph(on, () => x.add(1));
    expect(problem(() => captureGraph(on, () => graph.launch()))).toMatchObject({ operation: "launch" });
    const reading: Promise<unknown>[] = [];
    captureGraph(on, () => {
      reading.push(x.data(), on.synchronize());
    }).dispose();
    for (const read of reading) await expect(read).rejects.toMatchObject({ code: "MEDMAMBA_UNSUPPORTED" });
    expect(problem(() => captureGraph(on, async () => x))).toBeInstanceOf(ArgumentError);
    expect(await graph.launch().data()).toEqual(Float32Array.of(2, 2));
    graph.dispose();
  });

  it("tells of a label out of range when waited for, and goes on with good ones", async () => {
    const on = sharedDevice(kind);
    const logits = randn([3, 4], { device: on });
    const labels = tensor([0, 1, 2], [3], { dtype: "int64", device: on });
    const graph = captureGraph(on, () => crossEntropy(logits, labels));
    const good = await graph.result.item();
    labels.upload(BigInt64Array.of(0n, 7n, 2n));
    const error = await graph
      .launch()
      .item()
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OperationError);
    expect(error).toMatchObject({ code: "MEDMAMBA_INVALID_ARGUMENT" });
    expect((error as Error).message).toContain("label 7 of row 1 is not in 0..3");
    labels.upload(BigInt64Array.of(0n, 1n, 2n));
    expect(await graph.launch().item()).toBe(good);
    graph.dispose();
  });

  it("is disposed with its device", () => {
    const on = device(kind);
    const x = ones([2], { device: on });
    const graph = captureGraph(on, () => x.add(1));
    graph.launch();
    on.close();
    expect(graph.disposed).toBe(true);
    expect(problem(() => graph.launch())).toBeInstanceOf(DisposedError);
    graph.dispose();
  });
});

describe.each(kinds)("a graphed function on %s", (kind) => {
  it("is captured at the second call with a shape, and its results stay", async () => {
    const on = device(kind);
    let calls = 0;
    const graphed = new GraphedFunction(on, (x) => {
      calls += 1;
      return x.mul(3);
    });
    const results: Tensor[] = [];
    const counts: number[] = [];
    for (const [i, size] of [2, 3, 2, 2, 3, 2, 3].entries()) {
      results.push(graphed.call(tensor(new Float32Array(size).fill(i), [size], { device: on })));
      counts.push(graphed.graphCount);
    }
    for (const [i, result] of results.entries())
      expect(await result.data()).toEqual(new Float32Array(result.size).fill(3 * i));
    expect(counts).toEqual([0, 0, 1, 1, 2, 2, 2]);
    expect(calls).toBe(4);
    graphed.dispose();
    expect(graphed.graphCount).toBe(0);
  });

  it("drops the graph used longest ago, and all where what it depends on is another", () => {
    const on = device(kind);
    let weight = ones([1], { device: on });
    const graphed = new GraphedFunction(on, (x) => x.add(weight), {
      mostGraphs: 2,
      dependencies: () => [weight.handle],
    });
    const call = (size: number) => graphed.call(zeros([size], { device: on }));
    for (const size of [1, 1, 2, 2]) call(size);
    expect(graphed.graphCount).toBe(2);
    call(3);
    expect(graphed.graphCount).toBe(1);
    weight = ones([1], { device: on });
    call(2);
    expect(graphed.graphCount).toBe(0);
  });
});

describe.skipIf(!hasEmulatedCuda())("memory that runs out, emulated", () => {
  it("is told at the capture where a tensor finds none, and the device goes on", async () => {
    const on = device("cuda-emulated");
    const x = ones([1024, 1024], { device: on });
    await on.synchronize();
    process.env.MEDMAMBA_EMULATOR_MEMORY = "10";
    const error = problem(() => captureGraph(on, () => x.add(1).mul(2)));
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error.message).toContain("4194304 bytes");
    process.env.MEDMAMBA_EMULATOR_MEMORY = "64";
    const graph = captureGraph(on, () => tidy(() => x.add(1).sum()));
    expect(await graph.launch().item()).toBe(2 * 1024 * 1024);
    graph.dispose();
  });

  it("is told at the next wait, and at every launch, where an operation itself finds none", async () => {
    const on = device("cuda-emulated");
    const x = randn([60, 4000], { device: on });
    const sum = () => tidy(() => x.sum());
    const once = sum();
    const expected = await once.item();
    once.dispose();
    process.env.MEDMAMBA_EMULATOR_MEMORY = "0";
    const graph = captureGraph(on, sum);
    for (let wait = 0; wait < 2; wait += 1) {
      const error = await on.synchronize().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(OutOfMemoryError);
      expect((error as Error).message).toMatch(/^reduce: .*needs .* MiB/);
      graph.launch();
    }
    await expect(on.synchronize()).rejects.toBeInstanceOf(OutOfMemoryError);
    graph.dispose();
    process.env.MEDMAMBA_EMULATOR_MEMORY = "64";
    const again = captureGraph(on, sum);
    expect(await again.launch().item()).toBe(expected);
    const { freeBytes } = on.describe();
    again.dispose();
    await on.synchronize();
    expect(on.describe().freeBytes!).toBeGreaterThan(freeBytes!);
  });
});
