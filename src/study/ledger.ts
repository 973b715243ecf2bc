/**
 * The ledger of a run, `ledger.jsonl`: what was done with its checkpoint and its test images, a line each, in their order. Every
 * line holds the SHA-256 of the line before, so that none can be changed, removed or put in between without showing; how many
 * there are, and the hash of the last, stands a second time in `ledger.head`, so that lines taken from the end show, too.
 *
 * There is no secret in it: who takes lines from its end and writes `ledger.head` to match leaves no trace here. But every report that was given away
 * holds the number and the hash of its time.
 */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { StudyError, WeightsError } from "../errors.js";
import { packageVersion } from "../native/package-version.js";
import { replaceText } from "../weights/atomic-file.js";
import { weightsError } from "../weights/file-errors.js";
import { isOccupied, takeLock } from "./file-lock.js";
import type { LedgerEntry, LedgerEvent } from "./ledger-entries.js";

/** Names of its files in the folder of a run. */
export const ledgerFiles = { ledger: "ledger.jsonl", ledgerHead: "ledger.head" } as const;

const lockFile = "ledger.lock";

/** How far a ledger goes: how many lines, and the SHA-256 of the last without its line end. */
export interface LedgerHead {
  readonly entries: number;
  readonly hash: string;
}

/** A ledger as it was read. */
export interface Ledger {
  /** Without lines that are none. */
  readonly entries: readonly LedgerEntry[];
  readonly head: LedgerHead;
  /** What was done to it, as ends of "the ledger was changed: …". */
  readonly broken: readonly string[];
  /** Why it is not known whether something was, as sentences without a period. */
  readonly doubts: readonly string[];
}

/** Far more than a run has in years. */
const mostBytes = 64 * 2 ** 20;

/** The ledger in a folder; undefined if there is none. @throws WeightsError if it cannot be read */
export async function readLedger(directory: string): Promise<Ledger | undefined> {
  const found = await readLines(directory);
  return found && verified(found);
}

/** The lines of a ledger, and what its head says. */
interface Lines {
  /** Whole ones, without their ends. */
  readonly lines: readonly string[];
  /** What stands after the last line end. */
  readonly rest: string;
  /** Null where there is none, or it cannot be understood. */
  readonly anchor: LedgerHead | null;
}

async function readLines(directory: string): Promise<Lines | undefined> {
  const path = join(directory, ledgerFiles.ledger);
  const text = await readBounded(path);
  if (text === undefined) return undefined;
  const lines = text.split("\n");
  const rest = lines.pop() ?? "";
  const head = await readBounded(join(directory, ledgerFiles.ledgerHead));
  return { lines, rest, anchor: headIn(head ?? "") };
}

async function readBounded(path: string): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    if (size > mostBytes)
      throw new WeightsError(`${path} has ${size} bytes, which no ledger has: put back what was there.`);
    return await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw weightsError(path, error);
  }
}

function headIn(text: string): LedgerHead | null {
  const { entries, hash } = (parsed(text) ?? {}) as Partial<LedgerHead>;
  return Number.isSafeInteger(entries) && typeof hash === "string" ? { entries: entries!, hash } : null;
}

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** SHA-256 of a text. */
const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex");

const headOf = (lines: readonly string[]): LedgerHead => ({
  entries: lines.length,
  hash: hashOf(lines.at(-1) ?? ""),
});

function verified(found: Lines): Ledger {
  const { lines, rest, anchor } = found;
  const broken: string[] = [];
  const unfollowing: number[] = [];
  const strange: number[] = [];
  const entries: LedgerEntry[] = [];
  for (const [at, line] of lines.entries()) {
    const entry = parsed(line) as Partial<LedgerEntry> | undefined;
    if (typeof entry?.event !== "string") strange.push(at + 1);
    else entries.push(entry as LedgerEntry);
    if (entry?.sequence !== at + 1 || entry.previous !== (at === 0 ? "" : hashOf(lines[at - 1]!)))
      if (at === 0) broken.push("its first line is not where it begins");
      else unfollowing.push(at + 1);
    for (const earlier of entry && Array.isArray(entry.found) ? entry.found : [])
      broken.push(`${String(earlier)}, as was found when line ${at + 1} was written`);
  }
  const torn = "so one of the two was changed, or lines between them removed";
  const ofLines = [
    ...saidOnce(strange, "is no entry", "are no entries"),
    ...saidOnce(
      unfollowing,
      `does not follow from the line before, ${torn}`,
      `do not follow from the line before each, ${torn}`,
    ),
  ];
  if (entries.length > 0 && entries[0]?.event !== "begun") broken.push("its beginning is gone");
  const ended = comparedWithHead(found);
  const doubts: string[] = [];
  if (rest !== "" && ended.length === 0)
    doubts.push(
      "its last line is cut off, as by a crash or a full disk: what it was about to say is not known",
    );
  if (anchor === null)
    doubts.push(
      `${ledgerFiles.ledgerHead} is gone or damaged: whether lines were taken from the end is not known`,
    );
  return { entries, head: headOf(lines), broken: [...ofLines, ...broken, ...ended], doubts };
}

/** The same of several lines, once, with their number and the first of them. */
function saidOnce(numbers: readonly number[], ofOne: string, ofSeveral: string): string[] {
  if (numbers.length < 2) return numbers.map((number) => `line ${number} ${ofOne}`);
  const most = 5;
  const more = numbers.length > most ? ", …" : "";
  return [`${numbers.length} lines (${numbers.slice(0, most).join(", ")}${more}) ${ofSeveral}`];
}

/** What a new head would make forgotten, so that the line that brings it has to say it. */
function tracesIn(before: Lines | undefined): readonly string[] {
  if (before === undefined) return ["the ledger was removed"];
  if (before.anchor === null)
    return [`${ledgerFiles.ledgerHead} was removed or damaged, and perhaps lines at its end`];
  return comparedWithHead(before);
}

/** What the head tells of the end. It may lag behind by lines after which a process died. */
function comparedWithHead({ lines, anchor }: Lines): string[] {
  if (anchor === null) return [];
  const missing = anchor.entries - lines.length;
  if (missing > 0) return [`${missing} ${missing === 1 ? "line was" : "lines were"} removed at its end`];
  if (anchor.entries > 0 && hashOf(lines[anchor.entries - 1]!) !== anchor.hash)
    return [`line ${anchor.entries} is not the one that was written there`];
  return [];
}

/**
 * Writes a line at the end of a folder's ledger, whatever other processes write there at the same time. Either it is there
 * whole, or the ledger is as it was. What was done to the end of the ledger before is kept in the new line, for the head
 * would forget it.
 *
 * @param event     "begun" begins a ledger, in the place of an earlier one
 * @param patience  milliseconds to wait for others, who need a few each
 * @throws StudyError if another process does not finish writing; WeightsError naming the file that cannot be written
 */
export async function writeEntry(
  directory: string,
  event: LedgerEvent,
  { patience = 10_000 }: { readonly patience?: number } = {},
): Promise<LedgerHead> {
  const lock = await patientLock(directory, patience);
  try {
    const before = event.event === "begun" ? undefined : await readLines(directory);
    const lines = before?.lines ?? [];
    const found = event.event === "begun" ? [] : tracesIn(before);
    const entry: LedgerEntry = {
      sequence: lines.length + 1,
      previous: lines.length === 0 ? "" : headOf(lines).hash,
      time: new Date().toISOString(),
      version: packageVersion,
      ...event,
      ...(found.length > 0 && { found }),
    };
    const all = [...lines, JSON.stringify(entry)];
    const head = headOf(all);
    await replaceText(join(directory, ledgerFiles.ledger), `${all.join("\n")}\n`);
    await replaceText(join(directory, ledgerFiles.ledgerHead), `${JSON.stringify(head)}\n`);
    return head;
  } finally {
    await lock.release();
  }
}

async function patientLock(directory: string, patience: number) {
  const path = join(directory, lockFile);
  const begun = performance.now();
  for (;;) {
    const lock = await takeLock(path).catch((error: unknown) => {
      throw weightsError(path, error);
    });
    if (!isOccupied(lock)) return lock;
    if (performance.now() - begun > patience) {
      const who = lock.owner ? `process ${lock.owner.pid} on ${lock.owner.host}` : "another process";
      throw new StudyError(
        `${join(directory, ledgerFiles.ledger)} is being written by ${who}, which does not finish: if it is gone, remove ${path}.`,
      );
    }
    await wait(5 + Math.random() * 20);
  }
}
