/** Opening a checkpoint, and data sets in the way that its training saw images. */
import { extname } from "node:path";
import { type Checkpoint, loadCheckpoint } from "../../checkpoints/checkpoint.js";
import { type Dataset, derive, openDataset, type SplitName, type SplitOptions } from "../../data/index.js";
import { DataError } from "../../errors.js";
import type { Device } from "../../tensor/device.js";
import { CommandError } from "./failure.js";
import { expectCheckpoint } from "./paths.js";
import type { Terminal } from "./terminal.js";

/** @throws CommandError or WeightsError naming the file */
export async function openCheckpoint(path: string, device: Device): Promise<Checkpoint> {
  expectCheckpoint(path);
  return loadCheckpoint(path, { device });
}

/**
 * One split of a data set, with the checkpoint's classes and preprocessing, and divided as for its training where the
 * data set does not say.
 *
 * @throws CommandError if its classes are others
 */
export async function openSplit(
  data: string,
  split: SplitName,
  { path, task, classes, preprocessing, provenance }: Checkpoint,
  { terminal, signal }: { terminal: Terminal; signal: AbortSignal },
): Promise<Dataset> {
  if (task === "multi-label") {
    throw new CommandError(
      `${path} was trained on several labels an image, and ${data} has one class an image: use the program's \`evaluate\` with such labels.`,
    );
  }
  // An archive has numbers for classes: it is opened by itself, and how many it has is compared.
  const archive = extname(data).toLowerCase() === ".npz";
  const opened = await openDataset(data, {
    preprocessing,
    split,
    ...(provenance?.split as Partial<SplitOptions> | undefined),
    ...(archive ? {} : { classes }),
    onWarning: (message) => terminal.warn(message),
    onProgress: ({ done, total }) => terminal.progress(`reading images ${done}/${total}`),
    signal,
  }).catch((error: unknown) => {
    if (!(error instanceof DataError) || error.label === undefined) throw error;
    const { file, line, reason } = error;
    const place = line === undefined ? file : `${file} line ${line}`;
    throw new CommandError(`${place}: ${reason}, the classes of ${path}.`, { cause: error });
  });
  terminal.clearProgress();
  if (opened.classes.length !== classes.length) {
    throw new CommandError(
      `${data} has ${opened.classes.length} classes, but ${path} was trained on ${classes.length} (${classes.join(", ")}).`,
    );
  }
  return derive(opened[split], { classes, ...(task && { task }) });
}
