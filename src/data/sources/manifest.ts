/**
 * CSV manifests: a header with the columns `path` and `label`, or a column of 0 and 1 for each label, and more if there is
 * something to say of each image.
 *
 *     path,label,split,patient,weight,frame,age      path,effusion,nodule,patient
 *     images/0001.png,benign,train,p17,1.5,,63       chest/a.dcm,1,0,p17
 *
 * Paths are relative to the manifest. Columns that are not in the table of manifest-columns.ts are attributes. All lines are
 * read before anything is said of any, so that what is wrong is said of all.
 */
import { dirname } from "node:path";
import { DataError } from "../../errors.js";
import { pseudonym } from "../pseudonyms.js";
import type { SplitName } from "../splitting/split-names.js";
import { companionsAmong } from "./companions.js";
import { withoutIdentities } from "./identifying.js";
import { type Columns, columnsOf, type KnownCells, readKnown } from "./manifest-columns.js";
import { findFile } from "./manifest-files.js";
import { isOneOrZero, type Labelling, labelsOfColumns, labelsOfNames } from "./manifest-labels.js";
import { LineProblems } from "./problems.js";
import { expectSeveralClasses, type ImageEntry, type Listing, type SourceOptions } from "./source.js";
import { readTable, type TableRow } from "./table.js";

/** A line of the manifest. */
export interface ManifestRow extends KnownCells {
  readonly line: number;
  readonly cells: readonly string[];
}

export async function listManifest(path: string, options: SourceOptions): Promise<Listing> {
  const problems = new LineProblems(path);
  const { columns, rows } = await readRows(path, options, problems);
  const named = columns.labels ?? (columns.known.has("label") ? undefined : columnsOfZeros(columns, rows));
  const labelling = named
    ? labelsOfColumns(path, rows, { columns, named, options, problems })
    : labelsOfNames(path, rows, { columns, options, problems });
  problems.expectNone(labelling.advice);
  if (rows.length === 0)
    throw new DataError(`${path} lists no images: write a line for each below the names of the columns.`);
  if (options.task !== "multi-label") expectSeveralClasses(path, labelling.classes);
  warnOfCompanions(path, rows, options.onWarning);
  return listingOf(path, { columns, rows, labelling, named: named ?? [] }, options);
}

/** Columns with nothing but 0 and 1 in them, where the table has no other labels; cells may be empty, which is refused then. */
function columnsOfZeros({ others }: Columns, rows: readonly ManifestRow[]): readonly string[] {
  const isLabel = (at: number): boolean => {
    const values = rows.map(({ cells }) => cells[at] ?? "").filter((value) => value !== "");
    return values.length > 0 && values.every(isOneOrZero);
  };
  return [...others].filter(([, at]) => isLabel(at)).map(([title]) => title);
}

function listingOf(
  path: string,
  {
    columns,
    rows,
    labelling,
    named,
  }: { columns: Columns; rows: ManifestRow[]; labelling: Labelling; named: readonly string[] },
  options: SourceOptions,
): Listing {
  const { classes, labels } = labelling;
  const attributes = [...columns.others.keys()].filter((title) => !named.includes(title));
  const texts = attributes.map((title) => textsOf(title, columns, rows));
  const lines = new Map<string, number>();
  for (const { path: file } of rows) lines.set(file, (lines.get(file) ?? 0) + 1);
  const splits: Partial<Record<SplitName, ImageEntry[]>> = {};
  const undivided: ImageEntry[] = [];
  for (const [i, { path: file, frame, split, patient, weight, cells }] of rows.entries()) {
    const named = columns.groups === undefined ? "" : cells[columns.groups];
    // Pictures of one file are alike, whomever they are of.
    const group = named || (!patient && (lines.get(file) ?? 0) > 1 ? file : "");
    const entry: ImageEntry = {
      file,
      labels: labels[i] ?? [],
      frame,
      patient: patient && pseudonym(patient),
      group: group ? pseudonym(group) : undefined,
      weight,
      ...(attributes.length > 0 && { attributes: texts.map((column) => column[i]) }),
    };
    if (split) splits[split] ??= [];
    (split ? splits[split] : undivided)?.push(entry);
  }
  const task = options.task;
  if (undivided.length > 0) return { classes, task, attributes, splits: {}, undivided };
  if (!splits.train && options.split === undefined) {
    throw new DataError(
      `${path} has no line whose split is train: nothing would be learned. Leave the column out to have it drawn.`,
    );
  }
  return { classes, task, attributes, splits };
}

/** What an attribute is kept as. */
function textsOf(
  title: string,
  { others }: Columns,
  rows: readonly ManifestRow[],
): readonly (string | undefined)[] {
  const at = others.get(title) ?? 0;
  return withoutIdentities(
    title,
    rows.map(({ cells }) => cells[at] || undefined),
  );
}

/** Whoever lists a mask may mean it; whoever listed a folder's files with a program may not. */
function warnOfCompanions(
  path: string,
  rows: readonly ManifestRow[],
  onWarning: (message: string) => void,
): void {
  const found = companionsAmong(
    rows.map((row) => row.path),
    dirname(path),
  );
  const first = rows.find((row) => found.has(row.path));
  if (!first) return;
  onWarning(
    `${path}: ${found.size} of the images are by name masks or thumbnails of others in the table, first on line ${first.line}. They are taken, because the table lists them; remove their lines if they are no images of their own.`,
  );
}

/** The lines, their files found; what is wrong with one is told to `problems`, and it is left out. */
async function readRows(
  path: string,
  options: SourceOptions,
  problems: LineProblems,
): Promise<{ columns: Columns; rows: ManifestRow[] }> {
  const rows: ManifestRow[] = [];
  const seen = new Frames();
  let columns: Columns | undefined;
  for await (const { line, cells, problem } of readTable(path)) {
    if (columns === undefined) {
      columns = columnsOf(path, line, cells, options);
      continue;
    }
    const row = problem ?? (await readRow(path, { line, cells }, columns, seen));
    if (typeof row === "string") problems.add(line, row);
    else rows.push(row);
  }
  if (columns === undefined)
    throw new DataError(`${path} lists no images: write a line for each below the names of the columns.`);
  return { columns, rows };
}

/** @returns what is wrong with it, if something is */
async function readRow(
  manifest: string,
  { line, cells }: TableRow,
  columns: Columns,
  seen: Frames,
): Promise<ManifestRow | string> {
  const known = readKnown(cells, columns);
  if (typeof known === "string") return known;
  const found = await findFile(manifest, known.path);
  if ("problem" in found) return found.problem;
  const row = { ...known, path: found.file, line, cells };
  const twin = seen.twinOf(row);
  return twin === undefined ? row : `${known.path} is on line ${twin} already`;
}

/** Which pictures of which files have been listed: a file may be there twice, a picture not. */
class Frames {
  readonly #lines = new Map<string, Map<number | undefined, number>>();

  /** The line on which a picture is listed already. A line without a frame may mean any of the file's. */
  twinOf({ path, frame, line }: ManifestRow): number | undefined {
    const lines = this.#lines.get(path) ?? new Map<number | undefined, number>();
    this.#lines.set(path, lines);
    const twin =
      frame === undefined ? lines.values().next().value : (lines.get(frame) ?? lines.get(undefined));
    if (twin === undefined) lines.set(frame, line);
    return twin;
  }
}

/** An image of a table that need not have labels. */
export type ListedImage = Pick<ImageEntry, "file" | "frame" | "patient" | "attributes">;

/**
 * The images of a table, to be predicted: of its columns `path` is needed, `frame` and `patient` are used, the others are
 * attributes.
 *
 * @throws DataError naming the lines that are wrong
 */
export async function listImages(
  path: string,
  onWarning: (message: string) => void,
): Promise<{ images: readonly ListedImage[]; attributes: readonly string[] }> {
  const problems = new LineProblems(path);
  const options = { classes: undefined, split: undefined, signal: undefined, onWarning, unlabelled: true };
  const { columns, rows } = await readRows(path, options, problems);
  problems.expectNone();
  const attributes = [...columns.others.keys()];
  const texts = attributes.map((title) => textsOf(title, columns, rows));
  const images = rows.map(({ path: file, frame, patient }, i) => ({
    file,
    frame,
    patient: patient && pseudonym(patient),
    attributes: texts.map((column) => column[i]),
  }));
  return { images, attributes };
}
