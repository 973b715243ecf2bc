/** Opening a checkpoint that somebody has named, and which pictures its training took. */
import { type Checkpoint, type CheckpointDescription, loadCheckpoint } from "../../checkpoints/checkpoint.js";
import { type FrameChoice, isSingle, type SingleChoice } from "../../data/decoding/frame-choice.js";
import type { Opening } from "../../data/sources/opening.js";
import type { Device } from "../../tensor/device.js";
import { expectCheckpoint } from "./paths.js";
import type { Terminal } from "./terminal.js";

/** @throws CommandError or WeightsError naming the file */
export async function openCheckpoint(path: string, device: Device, terminal: Terminal): Promise<Checkpoint> {
  expectCheckpoint(path);
  return loadCheckpoint(path, { device, onWarning: (message) => terminal.warn(message) });
}

/** Which pictures of a file with several a checkpoint's training took; undefined if it does not say. */
export function framesOf({ provenance }: Pick<CheckpointDescription, "provenance">): FrameChoice | undefined {
  return (provenance?.opening as Opening | undefined)?.frames;
}

/** Which one of a file to show: as the training took it, if it took one of each. */
export function singleFrameOf(checkpoint: Pick<CheckpointDescription, "provenance">): SingleChoice {
  const frames = framesOf(checkpoint);
  return frames !== undefined && isSingle(frames) ? frames : "auto";
}
