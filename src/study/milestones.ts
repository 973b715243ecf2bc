/** What a run writes into its ledger when it begins, goes on and is done. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readCheckpoint } from "../checkpoints/checkpoint.js";
import type { DataIdentity, SplitIdentity } from "../data/contents.js";
import type { LabelledImages, OpenedDataset, SplitName } from "../data/index.js";
import { findLeaks, type Leaks } from "../data/splitting/leaks.js";
import type { FitResult } from "../training/fit-options.js";
import { fileHash } from "../weights/file-hash.js";
import { thresholdsOf } from "./evaluating.js";
import { readLedger, writeEntry } from "./ledger.js";
import { type BegunEvent, begunIn, looksIn, type TrainedEvent } from "./ledger-entries.js";
import { beginRun, type RunStart, runFiles } from "./run-directory.js";
import { runIdentity, settingsHash } from "./run-identity.js";
import { listRunImages, type RunImagesText, writeRunImages } from "./run-images.js";
import type { RunPlan } from "./run-plan.js";

/** A run whose images are known. */
export interface KnownStart extends RunStart {
  readonly contents: DataIdentity;
  readonly identity: string;
  /** Whether it kept a ledger before, where it is resumed. */
  readonly keepsLedger: boolean;
  readonly images: RunImagesText;
  readonly leaks: Leaks;
}

/** What is known of a run when its images are, and written down when it begins. Nothing that fits has a part in it. */
export async function knownStart(
  start: RunStart,
  plan: RunPlan,
  dataset: OpenedDataset<LabelledImages>,
  contents: DataIdentity,
  signal: AbortSignal,
): Promise<KnownStart> {
  const identity = start.identity ?? (await runIdentity(plan, contents));
  return {
    ...start,
    plan,
    contents,
    identity,
    keepsLedger: start.identity !== undefined,
    images: await listRunImages(identity, dataset, signal),
    leaks: await findLeaks(dataset, signal),
  };
}

/**
 * Makes the folder ready, and begins the ledger, or goes on in it. How often the same test images were looked at for a run that
 * this one replaces is kept: an --overwrite does not make them unseen.
 *
 * @throws WeightsError naming the file that cannot be written, StudyError if another process does not let go of the ledger
 */
export async function begin(start: KnownStart): Promise<void> {
  const { directory, resume, plan, contents, identity, extension, keepsLedger, leaks } = start;
  const before = await readLedger(directory).catch(() => undefined);
  await beginRun(start);
  if (resume && keepsLedger) {
    const event = extension ? "extended" : "resumed";
    await writeEntry(directory, { event, settings: settingsHash(plan), epochs: plan.settings.epochs });
    return;
  }
  await writeRunImages(directory, start.images);
  const event: BegunEvent = {
    event: "begun",
    run: identity,
    images: imagesOf(contents),
    settings: settingsHash(plan),
    seed: plan.settings.seed,
    leaks: {
      allowed: plan.allowLeaks,
      images: leaks.copies.reduce((sum, { images }) => sum + images.length, 0),
      patients: leaks.shared.reduce((sum, { count }) => sum + count, 0),
    },
    ...earlierLooks(start, before),
  };
  await writeEntry(directory, event);
}

function earlierLooks(
  { resume, contents }: KnownStart,
  before: Awaited<ReturnType<typeof readLedger>>,
): Pick<BegunEvent, "earlier"> {
  if (resume) return { earlier: { looks: null } }; // A run of before ledgers were kept.
  const begun = before && begunIn(before.entries);
  if (!before || begun?.images?.test?.contents !== contents.test.contents) return {};
  const { total, atLeast } = looksIn(before.entries);
  const looks = atLeast || before.broken.length > 0 ? null : total;
  return total > 0 || looks === null ? { earlier: { looks, head: before.head.hash } } : {};
}

const imagesOf = ({ train, val, test }: DataIdentity): Record<SplitName, SplitIdentity> => ({
  train,
  val,
  test,
});

/** What a training that is done wrote. @throws WeightsError naming a checkpoint that cannot be read */
export async function trained(
  directory: string,
  plan: RunPlan,
  contents: DataIdentity,
  { best, history }: FitResult,
): Promise<TrainedEvent> {
  const files: Record<string, string> = {};
  for (const name of [runFiles.best, runFiles.last]) {
    const path = join(directory, name);
    if (existsSync(path)) files[name] = await fileHash(path);
  }
  const wrote = files[runFiles.best] === undefined ? runFiles.last : runFiles.best;
  return {
    event: "trained",
    files,
    images: imagesOf(contents),
    thresholds: thresholdsOf(await readCheckpoint(join(directory, wrote))),
    chosenOn: contents.val.images > 0 ? "val" : "nothing",
    bestEpoch: best?.epoch ?? null,
    epochs: history.length,
    settings: settingsHash(plan),
    seed: plan.settings.seed,
  };
}
