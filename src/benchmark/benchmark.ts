/** What a benchmark is: work of a known cost that can be opened on a device. */
import type { Device } from "../tensor/device.js";
import type { Timed } from "./measure.js";
import type { Cost } from "./work.js";

/** Work with its tensors, ready to run. */
export interface Opened extends Timed {
  readonly close: () => void;
}

export interface Benchmark {
  readonly name: string;
  /** What tells it from others of that name. */
  readonly shape: string;
  /** Worked on in one run. */
  readonly images: number;
  readonly cost: Cost;
  readonly open: (device: Device) => Opened;
}
