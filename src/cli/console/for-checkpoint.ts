/** Opening a checkpoint that somebody has named. */
import { type Checkpoint, loadCheckpoint } from "../../checkpoints/checkpoint.js";
import type { Device } from "../../tensor/device.js";
import { expectCheckpoint } from "./paths.js";
import type { Terminal } from "./terminal.js";

/** @throws CommandError or WeightsError naming the file */
export async function openCheckpoint(path: string, device: Device, terminal: Terminal): Promise<Checkpoint> {
  expectCheckpoint(path);
  return loadCheckpoint(path, { device, onWarning: (message) => terminal.warn(message) });
}
