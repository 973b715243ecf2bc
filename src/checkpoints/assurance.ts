/**
 * What a checkpoint knows of how far it can be believed, found on validation images after training: a temperature that its
 * probabilities are calibrated by, thresholds of prediction sets, and what the training images look like, so that others can
 * be told from them. In a file it is one field of metadata, plain JSON with arrays in base64: the tensors stay the weights alone.
 *
 * A file may say anything, so every field is looked at, and a declared size is compared with what is there.
 */
import { ArgumentError, WeightsError } from "../errors.js";
import type { OutlierPanel, OutlierView } from "../metrics/outlier-panel.js";
import type { PrincipalModel } from "../metrics/principal.js";
import { inWords } from "../settings/given.js";

/** Why something is not there. */
export interface Absent {
  /** A clause: "validation has 7 images of cyst; 9 are needed". */
  readonly reason: string;
}

/** How probabilities are calibrated. */
export interface FittedTemperature {
  /** What logits are divided by. */
  readonly temperature: number;
  /** Mean negative log-likelihood of the validation labels in nats, without it. */
  readonly before: number;
  /** The same with it. */
  readonly after: number;
  /** Why there is one. */
  readonly reason?: undefined;
}

/**
 * Least probabilities of an answer that is not ruled out, at several risks. An answer is a class; where an image may have
 * several labels each has two, that it is there and that it is not, of which the probability is 1 less.
 */
export interface StoredSets {
  /** Risks that sets can be asked for, rising. */
  readonly risks: readonly number[];
  /** (risks, answers) null where validation has too few images of the answer for that risk. */
  readonly least: readonly (readonly (number | null)[])[];
  /** (answers) validation images of each; of label i the answers are 2 i, that it is there, and 2 i + 1. */
  readonly images: readonly number[];
  /** Why there are some. */
  readonly reason?: undefined;
}

/** What images that are unlike the training images are known by. */
export interface StoredOutliers extends OutlierPanel {
  /** Why there is one. */
  readonly reason?: undefined;
}

/** How many images something was found on. */
export interface AssessedImages {
  /** Training images, for what such images look like. */
  readonly train: number;
  /** Validation images, for everything else. */
  readonly validation: number;
}

/** What was found on validation images about how far a model can be believed. */
export interface Assurance {
  /** Images that it was found on. */
  readonly images: AssessedImages;
  /** By what probabilities are calibrated, or why they are left as they are. */
  readonly calibration: FittedTemperature | Absent;
  /** By what classes are ruled out, or why none can be. */
  readonly sets: StoredSets | Absent;
  /** By what other images are known, or why they cannot be. */
  readonly outliers: StoredOutliers | Absent;
}

/** Answers that sets are made of. */
export const answerCount = (classes: number, severalLabels: boolean): number =>
  severalLabels ? 2 * classes : classes;

// ---- writing ----------------------------------------------------------------------------------------------------

/** As it stands in a file. @throws ArgumentError if it is none, or of another number of classes */
export function storedAssurance(assurance: Assurance, classes: number, severalLabels: boolean): string {
  let text: string;
  try {
    const { images, calibration, sets, outliers } = assurance;
    const written = isAbsent(outliers)
      ? outliers
      : {
          falseAlarms: outliers.falseAlarms,
          limit: outliers.limit,
          views: outliers.views.map(writtenView),
        };
    text = JSON.stringify({ images, calibration, sets, outliers: written });
    readAssurance("saveCheckpoint", text, classes, severalLabels);
  } catch (error) {
    const reason = error instanceof WeightsError ? error.message.replace(/^[^:]*: /, "") : "it is none.";
    throw new ArgumentError(`saveCheckpoint: the assurance cannot be written: ${reason}`);
  }
  return text;
}

function writtenView({ name, median, spread, model }: OutlierView): object {
  const { width, center, scale, directions, variances, rest } = model;
  const arrays = Object.entries({ center, scale, directions, variances });
  return {
    name,
    median,
    spread,
    width,
    rest,
    ...Object.fromEntries(arrays.map(([field, values]) => [field, base64Of(values)])),
  };
}

function base64Of(values: Float32Array): string {
  const bytes = new DataView(new ArrayBuffer(4 * values.length));
  for (const [at, value] of values.entries()) bytes.setFloat32(4 * at, value, true);
  return Buffer.from(bytes.buffer).toString("base64");
}

// ---- reading ----------------------------------------------------------------------------------------------------

/** Far more than the widest network has, and few enough to be added up. */
const mostFeatures = 1_000_000;
const mostViews = 64;
const mostRisks = 100;

/**
 * @param file  for messages
 * @param text  JSON
 * @throws WeightsError naming the file and the field that cannot be
 */
export function readAssurance(
  file: string,
  text: string,
  classes: number,
  severalLabels: boolean,
): Assurance {
  const reader = new FieldReader(file);
  const root = reader.object("", reader.json(text));
  const images = reader.object("images", root.images);
  return {
    images: {
      train: reader.count("images.train", images.train),
      validation: reader.count("images.validation", images.validation),
    },
    calibration: calibrationOf(reader, root.calibration),
    sets: setsOf(reader, root.sets, answerCount(classes, severalLabels)),
    outliers: outliersOf(reader, root.outliers),
  };
}

function calibrationOf(reader: FieldReader, value: unknown): FittedTemperature | Absent {
  const given = reader.object("calibration", value);
  if ("reason" in given) return reader.absent("calibration", given);
  const { temperature, before, after } = given;
  return {
    temperature: reader.number("calibration.temperature", temperature, 0.001, 1000),
    before: reader.number("calibration.before", before),
    after: reader.number("calibration.after", after),
  };
}

function setsOf(reader: FieldReader, value: unknown, answers: number): StoredSets | Absent {
  const given = reader.object("sets", value);
  if ("reason" in given) return reader.absent("sets", given);
  const risks = reader.list("sets.risks", given.risks, 1, mostRisks).map((risk, i, all) => {
    const least = i === 0 ? 0 : Number(all[i - 1]);
    const found = reader.number("sets.risks", risk, 0, 1);
    if (!(found > least && found < 1)) reader.refuse("sets.risks");
    return found;
  });
  return {
    risks,
    least: reader
      .list("sets.least", given.least, risks.length, risks.length)
      .map((row) =>
        reader
          .list("sets.least", row, answers, answers)
          .map((least) => (least === null ? null : reader.number("sets.least", least, 0, 1.001))),
      ),
    images: reader
      .list("sets.images", given.images, answers, answers)
      .map((count) => reader.count("sets.images", count)),
  };
}

function outliersOf(reader: FieldReader, value: unknown): StoredOutliers | Absent {
  const given = reader.object("outliers", value);
  if ("reason" in given) return reader.absent("outliers", given);
  return {
    falseAlarms: reader.number("outliers.falseAlarms", given.falseAlarms, 0, 1),
    limit: reader.number("outliers.limit", given.limit),
    views: reader
      .list("outliers.views", given.views, 1, mostViews)
      .map((view, at) => viewOf(reader, `outliers.views.${at}`, view)),
  };
}

function viewOf(reader: FieldReader, place: string, value: unknown): OutlierView {
  const given = reader.object(place, value);
  const width = reader.count(`${place}.width`, given.width);
  if (width < 1 || width > mostFeatures) reader.refuse(`${place}.width`);
  const array = (field: string, count: number, above = Number.NEGATIVE_INFINITY) =>
    reader.floats(`${place}.${field}`, given[field], count, above);
  const variances = array("variances", -1, 0);
  const model: PrincipalModel = {
    method: "principal",
    width,
    center: array("center", width),
    scale: array("scale", width, 0),
    directions: array("directions", variances.length * width),
    variances,
    rest: reader.number(`${place}.rest`, given.rest, Number.MIN_VALUE),
  };
  return {
    name: reader.text(`${place}.name`, given.name),
    model,
    median: reader.number(`${place}.median`, given.median),
    spread: reader.number(`${place}.spread`, given.spread, Number.MIN_VALUE),
  };
}

type Fields = Readonly<Record<string, unknown>>;

/** Takes values from JSON as what they have to be. */
class FieldReader {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** @throws WeightsError always */
  refuse(field: string): never {
    const where = field === "" ? "" : ` in "${field}"`;
    throw new WeightsError(`${this.#file}: the checkpoint's "assurance" is damaged${where}.`);
  }

  json(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      return this.refuse("");
    }
  }

  object(field: string, value: unknown): Fields {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return this.refuse(field);
    return value as Fields;
  }

  list(field: string, value: unknown, least: number, most: number): readonly unknown[] {
    if (!Array.isArray(value) || value.length < least || value.length > most) return this.refuse(field);
    return value;
  }

  number(field: string, value: unknown, least = Number.NEGATIVE_INFINITY, most = Infinity): number {
    if (typeof value !== "number" || !Number.isFinite(value)) return this.refuse(field);
    return value >= least && value <= most ? value : this.refuse(field);
  }

  count(field: string, value: unknown): number {
    return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : this.refuse(field);
  }

  /** Short, and without letters that terminals obey. */
  text(field: string, value: unknown): string {
    if (typeof value !== "string" || value.length > 1000 || /\p{Cc}/u.test(value)) return this.refuse(field);
    return value;
  }

  absent(field: string, { reason }: Fields): Absent {
    return { reason: this.text(`${field}.reason`, reason) };
  }

  /**
   * @param count  numbers that there have to be; -1 for any
   * @param above  what each has to be above
   */
  floats(field: string, value: unknown, count: number, above: number): Float32Array {
    if (typeof value !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(value)) return this.refuse(field);
    const bytes = Buffer.from(value, "base64");
    const found = bytes.length / 4;
    if (!Number.isInteger(found) || (count >= 0 && found !== count)) return this.refuse(field);
    const values = Float32Array.from({ length: found }, (_, at) => bytes.readFloatLE(4 * at));
    return values.every((number) => Number.isFinite(number) && number > above) ? values : this.refuse(field);
  }
}

/** Whether a part is not there. */
export const isAbsent = (part: object): part is Absent => (part as Partial<Absent>).reason !== undefined;

/** Sets at a risk; a label of several that has too few images has null, where classes all have to be there. */
export function setsAt(
  { sets }: Pick<Assurance, "sets">,
  risk: number,
  severalLabels: boolean,
): readonly (number | null)[] | undefined {
  if (isAbsent(sets)) return undefined;
  const least = sets.least[sets.risks.indexOf(risk)];
  if (least === undefined) return undefined;
  const there = (answer: number) => least[answer] !== null;
  const answers = Array.from(least, (_, answer) => answer);
  if (!severalLabels) return answers.every(there) ? least : undefined;
  const labels = answers.filter((answer) => answer % 2 === 0);
  return labels.some((answer) => there(answer) && there(answer + 1)) ? least : undefined;
}

/** Risks for which a checkpoint has sets. */
export function risksOf(assurance: Assurance | undefined, severalLabels: boolean): readonly number[] {
  if (assurance === undefined || isAbsent(assurance.sets)) return [];
  return assurance.sets.risks.filter((risk) => setsAt(assurance, risk, severalLabels) !== undefined);
}

/** @throws ArgumentError unless it is an assurance, or nothing. The models of looks are checked where they are used */
export function expectAssurance(operation: string, assurance: unknown): void {
  if (assurance === undefined) return;
  const { images, calibration, sets, outliers } = Object(assurance) as Readonly<Record<string, unknown>>;
  if (isObject(images) && isCalibration(calibration) && isSets(sets) && isOutliers(outliers)) return;
  const found = isObject(assurance) ? "of another kind" : inWords(assurance);
  throw new ArgumentError(`${operation}: the assurance has to be a checkpoint's, but is ${found}.`);
}

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isNumber = (value: unknown): boolean => typeof value === "number" && !Number.isNaN(value);
const isList = (value: unknown, most: number, holds: (entry: unknown) => boolean): boolean =>
  Array.isArray(value) && value.length <= most && value.every(holds);
const isReason = (part: Fields): boolean => typeof part.reason === "string";

const isCalibration = (part: unknown): boolean =>
  isObject(part) && (isReason(part) || (isNumber(part.temperature) && Number(part.temperature) > 0));

function isSets(part: unknown): boolean {
  if (!isObject(part)) return false;
  if (isReason(part)) return true;
  const { risks, least, images } = part;
  const isLeast = (value: unknown) => value === null || isNumber(value);
  const isRow = (row: unknown) => isList(row, mostFeatures, isLeast);
  return (
    isList(risks, mostRisks, isNumber) &&
    isList(least, mostRisks, isRow) &&
    isList(images, mostFeatures, isNumber)
  );
}

function isOutliers(part: unknown): boolean {
  if (!isObject(part)) return false;
  if (isReason(part)) return true;
  return isNumber(part.limit) && isNumber(part.falseAlarms) && isList(part.views, mostViews, isObject);
}
