/**
 * The seal of a test: that the judged images had no part in the training, that nothing was chosen by them, and how often they were
 * looked at. What speaks for it and against it comes from the checkpoint, from the images, and from the ledger beside the
 * checkpoint; what none of them says is "unknown", never "ok".
 */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isDataIdentity } from "../data/contents.js";
import type { SealEvidence, SealFinding } from "../reports/sections/seal.js";
import { messageOf } from "../settings/realms.js";
import { fileHash } from "../weights/file-hash.js";
import type { JudgedCheckpoint } from "./judged-images.js";
import { readLedger, writeEntry } from "./ledger.js";
import { begunIn, type LookedEvent, looksIn, trainedIn } from "./ledger-entries.js";
import {
  apartFinding,
  checkpointFinding,
  finding,
  type Look,
  leaksFinding,
  ledgerFinding,
  looksFinding,
  type Past,
  splitFinding,
  thresholdFinding,
  validationFinding,
} from "./seal-findings.js";

/**
 * Writes a look into the ledger beside the checkpoint, if it is at test images, and gathers what is known of the seal then. A
 * ledger that cannot be read or written is no error but a finding.
 *
 * @throws WeightsError if the checkpoint cannot be read
 */
export async function lookAt(checkpoint: JudgedCheckpoint, look: Look): Promise<SealEvidence> {
  const hash = await fileHash(checkpoint.path);
  const before = await pastOf(checkpoint, hash);
  const recorded = await record(before, look);
  const past = recorded.written ? await pastOf(checkpoint, hash) : before;
  return sealOf(past, look, recorded.finding);
}

async function pastOf(checkpoint: JudgedCheckpoint, hash: string): Promise<Past> {
  const directory = dirname(checkpoint.path);
  const folder = await runOfFolder(directory);
  let unreadable: string | undefined;
  const ledger = await readLedger(directory).catch((error: unknown) => {
    unreadable = messageOf(error);
    return undefined;
  });
  const run = checkpoint.provenance?.run;
  const entries = ledger?.entries ?? [];
  const wrote = trainedIn(entries).some(({ files }) => Object.values(Object(files)).includes(hash));
  const own = ledger !== undefined && (wrote || (run !== undefined && begunIn(entries)?.run === run));
  // A ledger whose beginning is gone may still be that of this folder.
  const headless =
    ledger !== undefined && begunIn(entries) === undefined && run !== undefined && folder === run;
  return { checkpoint, hash, ledger, own: own || headless, folder, unreadable };
}

/** The identity of the run in a folder, as its `run.json` has it. */
async function runOfFolder(directory: string): Promise<string | undefined> {
  try {
    const { identity } = JSON.parse(await readFile(join(directory, "run.json"), "utf8"));
    return typeof identity === "string" ? identity : undefined;
  } catch {
    return undefined;
  }
}

async function record(past: Past, look: Look): Promise<{ written: boolean; finding?: SealFinding }> {
  const { checkpoint, own, hash } = past;
  const { acquaintance, by, thresholds, scores } = look;
  const { images, of } = acquaintance;
  if (!own || (of?.test ?? 0) === 0) return { written: false };
  const event: LookedEvent = {
    event: "looked",
    by,
    checkpoint: hash,
    images,
    of,
    thresholds,
    chosenBy: whoChose(past, look),
    scores,
  };
  try {
    const { entries } = await writeEntry(dirname(checkpoint.path), event);
    return {
      written: true,
      finding: finding("recorded", "ok", `This look is entry ${entries} of the ledger.`),
    };
  } catch (error) {
    const words = `This look is not in the ledger, so the next ones will count one too few: ${messageOf(error)}`;
    return { written: false, finding: finding("recorded", "broken", words) };
  }
}

/** By whom the thresholds of a look were chosen. */
function whoChose(past: Past, look: Look): string {
  if (look.chosenBy !== "training") return look.chosenBy;
  if (look.thresholds === null) return "nobody";
  const found = thresholdFinding(past, look);
  return found?.state === "ok" ? "training" : found?.state === "broken" ? "not the training" : "not known";
}

function sealOf(past: Past, look: Look, recorded: SealFinding | undefined): SealEvidence {
  const { ledger, own } = past;
  const { kind, images, of, relabelled } = look.acquaintance;
  const trained = past.checkpoint.provenance?.data;
  const hasTest = isDataIdentity(trained) && trained.test.images > 0;
  const isAsked = hasTest && kind !== "external";
  const written = looksIn(ledger?.entries ?? []);
  const unwritten = recorded?.state === "broken" ? 1 : 0;
  const atLeast = written.atLeast || (ledger?.broken ?? []).length > 0;
  const looks = own && isAsked ? { ...written, total: written.total + unwritten, atLeast } : null;
  const findings = [
    splitFinding(look.acquaintance),
    apartFinding(look.acquaintance),
    validationFinding(past, look.acquaintance),
    leaksFinding(past),
    checkpointFinding(past),
    thresholdFinding(past, look),
    ledgerFinding(past),
    isAsked ? looksFinding(past, looks) : undefined,
    recorded,
  ].filter((found) => found !== undefined);
  return {
    test: kind,
    images: images.images,
    ...(kind === "mixed" && relabelled && { relabelled }),
    of,
    looks,
    ledger: own && ledger ? ledger.head : null,
    findings,
  };
}
