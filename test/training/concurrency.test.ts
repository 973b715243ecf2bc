/** Training beside other work: in worker threads, in one that is terminated, and without holding up the event loop. */

import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import {
  crossEntropy,
  MedMamba,
  memory,
  ones,
  openDevice,
  optim,
  randn,
  tensor,
  tidy,
} from "../../src/index.js";
import { Turns } from "../support/event-loop.js";
import { repository } from "../support/repository.js";

interface Training {
  seed: number;
  steps: number;
  dims: number[];
  imageSize: number;
}

function startWorker(training: Training): Worker {
  return new Worker(join(repository, "test/support/training-worker.js"), { workerData: training });
}

/** The worker's losses and live tensors, after its first message that it is training. */
async function finished(worker: Worker): Promise<{ losses: number[]; tensors: number }> {
  const messages: unknown[] = [];
  worker.on("message", (message) => messages.push(message));
  const [code] = await once(worker, "exit");
  expect(code).toBe(0);
  expect(messages[0]).toBe("training");
  return messages.at(-1) as { losses: number[]; tensors: number };
}

const small = { dims: [8, 16], imageSize: 12, steps: 30 };

describe("worker threads", () => {
  it("train at once without mixing", async () => {
    const before = memory();
    const alone = await finished(startWorker({ ...small, seed: 1 }));
    const [first, second] = await Promise.all([
      finished(startWorker({ ...small, seed: 1 })),
      finished(startWorker({ ...small, seed: 2 })),
    ]);
    expect(first).toEqual(alone);
    expect(second.losses).toHaveLength(30);
    expect(second.losses).not.toEqual(alone.losses);
    expect(second.tensors).toBe(alone.tensors);
    expect(memory()).toEqual(before);
  });

  it("may be terminated in the middle of a step", async () => {
    const steady = startWorker({ ...small, seed: 1 });
    const result = finished(steady);
    for (let i = 0; i < 3; i += 1) {
      // Steps of about 100 ms: the message comes when the first is queued, so that its work is running now.
      const worker = startWorker({ seed: 3, steps: 10_000, dims: [64, 128], imageSize: 96 });
      await once(worker, "message");
      expect(await worker.terminate()).toBe(1);
    }
    const { losses } = await result;
    expect(losses.at(-1)).toBeLessThan(losses[0] as number);
    expect(await tidy(() => ones([5]).sum()).item()).toBe(5);
  });
});

describe("the event loop", () => {
  it("turns while the device trains", async () => {
    const device = openDevice("cpu", { threads: 1 }); // steps are long on any machine, and a core is left for the loop
    const model = new MedMamba({ depths: [1, 1, 1], dims: [64, 128, 256], numClasses: 2, device });
    const opt = new optim.AdamW(model.parameters());
    const x = randn([8, 3, 160, 160], { device });
    const y = tensor([0, 1, 1, 0, 1, 0, 0, 1], [8], { dtype: "int64", device });
    const step = async () => {
      opt.zeroGrad();
      const loss = crossEntropy(model.forward(x), y);
      loss.backward();
      opt.step();
      await loss.item();
      loss.dispose();
    };
    await step(); // compiles the JavaScript on the way
    const turns = new Turns(1);
    const during: number[] = [];
    const start = performance.eventLoopUtilization();
    for (let i = 0; i < 4; i += 1) {
      const before = turns.count;
      await step();
      during.push(turns.count - before);
    }
    turns.stop();
    const { utilization } = performance.eventLoopUtilization(start);
    device.close();
    // Of some ninety; a loop that waits for the device turns once. Other load slows the device and the loop alike, so that the
    // share of the time in which the loop is busy, less than a tenth, stays what it is.
    expect(Math.min(...during), `turns in each step: ${during}`).toBeGreaterThan(25);
    expect(utilization, "share of the time that the loop is busy").toBeLessThan(0.3);
  });

  it("is seen to be held up where it is", async () => {
    const turns = new Turns(1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const before = turns.count;
    expect(before).toBeGreaterThan(0);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    await new Promise((resolve) => setImmediate(resolve));
    expect(turns.count - before).toBeLessThanOrEqual(1);
    turns.stop();
  });
});
