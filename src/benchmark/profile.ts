/** Where the time of a training step goes: each operation of backend.h, the parts of the block one by one. */
import type { MedMambaConfig } from "../models/config.js";
import type { Device } from "../tensor/device.js";
import { trainingStep } from "./networks.js";

export interface OperationShare {
  readonly operation: string;
  /** Calls in one step. */
  readonly count: number;
  /** Of one step, all calls together. */
  readonly seconds: number;
  /** Of the step. */
  readonly share: number;
}

export interface StepProfile {
  readonly steps: number;
  readonly secondsPerStep: number;
  /** The longest first. */
  readonly operations: readonly OperationShare[];
  /** Not in an operation: queueing, allocating, waiting for JavaScript. */
  readonly outside: { readonly seconds: number; readonly share: number };
}

export async function profileTraining(
  config: MedMambaConfig,
  imageSize: number,
  batch: number,
  device: Device,
  steps: number,
): Promise<StepProfile> {
  const step = trainingStep(config, imageSize, batch, device);
  try {
    step.run();
    await device.synchronize();
    device.startProfile();
    const start = performance.now();
    for (let i = 0; i < steps; ++i) {
      step.run();
      await device.synchronize();
    }
    const secondsPerStep = (performance.now() - start) / 1000 / steps;
    const times = await device.stopProfile();
    const operations = times
      .map(({ operation, count, seconds }) => ({
        operation,
        count: count / steps,
        seconds: seconds / steps,
        share: seconds / steps / secondsPerStep,
      }))
      .sort((a, b) => b.seconds - a.seconds);
    const outside = secondsPerStep - operations.reduce((sum, { seconds }) => sum + seconds, 0);
    return {
      steps,
      secondsPerStep,
      operations,
      outside: { seconds: outside, share: outside / secondsPerStep },
    };
  } finally {
    step.close();
  }
}
