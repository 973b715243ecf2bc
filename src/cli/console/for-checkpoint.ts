/** Opening a checkpoint, and data sets in the way that its training saw images. */
import { type Checkpoint, loadCheckpoint } from "../../checkpoints/checkpoint.js";
import { isDataIdentity, isSameSplit, splitIdentity } from "../../data/contents.js";
import { concatenated } from "../../data/dataset.js";
import {
  type Dataset,
  derive,
  openDataset,
  type SplitName,
  type SplitOptions,
  splitNames,
} from "../../data/index.js";
import { DataError } from "../../errors.js";
import type { Device } from "../../tensor/device.js";
import { CommandError } from "./failure.js";
import { expectCheckpoint } from "./paths.js";
import type { Terminal } from "./terminal.js";

/** Images to judge a checkpoint by. */
export interface Judged {
  readonly dataset: Dataset;
  readonly part: SplitName | "all";
  /** Why that part was taken, where nobody has named one. */
  readonly because?: string;
}

/** Where what goes on is told, and what ends it. */
interface Opening {
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  readonly maxPixels?: number | undefined;
}

/** @throws CommandError or WeightsError naming the file */
export async function openCheckpoint(path: string, device: Device, terminal: Terminal): Promise<Checkpoint> {
  expectCheckpoint(path);
  return loadCheckpoint(path, { device, onWarning: (message) => terminal.warn(message) });
}

/**
 * The images to judge a checkpoint by, with its classes and preprocessing: the part that was asked for; otherwise the test
 * images of the data that it was trained on, divided as for its training, and all of any others.
 *
 * @throws CommandError if its classes are others
 */
export async function openJudged(
  data: string,
  part: SplitName | "all" | undefined,
  checkpoint: Checkpoint,
  opening: Opening,
): Promise<Judged> {
  if (part === "all") return openAll(data, checkpoint, opening);
  if (part !== undefined) return { dataset: await openSplit(data, part, checkpoint, opening), part };
  const trained = checkpoint.provenance?.data;
  if (!isDataIdentity(trained)) {
    const because = "the checkpoint does not say what it was trained on; --split all takes everything";
    return { dataset: await openSplit(data, "test", checkpoint, opening), part: "test", because };
  }
  const own = trained.test.images > 0 ? "test" : trained.val.images > 0 ? "val" : "train";
  const found = await ifThere(own, openSplit(data, own, checkpoint, opening));
  if (found && isSameSplit(await splitIdentity(found, opening.signal), trained[own])) {
    if (own === "test") return { dataset: found, part: "test" };
    throw new CommandError(
      `${data} is what ${checkpoint.path} was trained on, and no images were left for testing: name a part with --split ${own}, or other data.`,
    );
  }
  const because = "these are not the data that it was trained on";
  return { ...(await openAll(data, checkpoint, opening)), because };
}

/** Every image of a data set, however it is divided. */
async function openAll(data: string, checkpoint: Checkpoint, opening: Opening): Promise<Judged> {
  const parts: Dataset[] = [];
  for (const name of splitNames) {
    const part = await ifThere(name, openSplit(data, name, checkpoint, opening));
    if (part && part.length > 0) parts.push(part);
  }
  if (parts.length === 0) throw new CommandError(`${data} has no images.`);
  return { dataset: concatenated(parts), part: "all" };
}

/** A split, or undefined where the data set has no images of it. */
function ifThere(name: SplitName, opened: Promise<Dataset>): Promise<Dataset | undefined> {
  return opened.catch((error: unknown) => {
    if (error instanceof DataError && error.message.endsWith(` has no ${name} images.`)) return undefined;
    throw error;
  });
}

async function openSplit(
  data: string,
  split: SplitName,
  { path, task, classes, preprocessing, provenance }: Checkpoint,
  { terminal, signal, maxPixels }: Opening,
): Promise<Dataset> {
  if (task === "multi-label") {
    throw new CommandError(
      `${path} was trained on several labels an image, and ${data} has one class an image: use the program's \`evaluate\` with such labels.`,
    );
  }
  const opened = await openDataset(data, {
    preprocessing,
    split,
    ...(provenance?.split as Partial<SplitOptions> | undefined),
    classes,
    maxPixels,
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
  return task ? derive(opened[split], { task }) : opened[split];
}
