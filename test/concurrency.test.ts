/** Training beside other work: in worker threads, in one that is terminated, and without holding up the event loop. */
import { once } from "node:events";
import { monitorEventLoopDelay } from "node:perf_hooks";
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
} from "../src/index.js";

interface Training {
  seed: number;
  steps: number;
  dims: number[];
  imageSize: number;
}

function startWorker(training: Training): Worker {
  return new Worker(new URL("./support/training-worker.js", import.meta.url), { workerData: training });
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
  // Other load on the machine delays it too: a blocked loop fails every time.
  it("turns while the device trains", { retry: 3 }, async () => {
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
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const start = performance.now();
    const steps = 4;
    for (let i = 0; i < steps; i += 1) await step();
    const duration = (performance.now() - start) / steps;
    delay.disable();
    device.close();
    expect(duration, "milliseconds of a step: too short to show a blocked loop").toBeGreaterThan(60);
    expect(delay.percentile(99) / 1e6, "milliseconds of delay").toBeLessThan(50);
  });
});
