/** Facts of a run as a program brings them, from a file perhaps: whether they are that, before anything is said of them. */
import { type Augmentation, checkAugmentation } from "../../data/augmentation.js";
import { definePreprocessing, preprocessingRows } from "../../data/preprocessing.js";
import { ArgumentError } from "../../errors.js";
import { medMambaConfig, modelRows } from "../../models/config.js";
import { expectFlags, expectNamed, expectNumbers, expectText, inWords } from "../../settings/given.js";
import { isShortList, type Settings } from "../../settings/kind.js";
import type { Rows } from "../../settings/table.js";
import { trainingRows, trainingSettings } from "../../training/settings.js";
import type {
  AuditFacts,
  DivisionFacts,
  EvaluationFacts,
  PartFacts,
  RunFacts,
  ScoreFact,
  SealFacts,
  SoftwareFacts,
  SubgroupFact,
  TrainingFacts,
  UncertaintyFacts,
} from "./facts.js";

/** @throws ArgumentError naming the place, unless the value is of a kind */
type Check = (operation: string, place: string, value: unknown) => void;

const number: Check = (operation, place, value) => expectNumbers(operation, { [place]: value });
const text: Check = expectText;
const flag: Check = (operation, place, value) => expectFlags(operation, { [place]: value });

const orNull =
  (check: Check): Check =>
  (operation, place, value) => {
    if (value !== null) check(operation, place, value);
  };

const oneOf =
  (...names: readonly string[]): Check =>
  (operation, place, value) => {
    if (names.includes(value as string)) return;
    throw new ArgumentError(
      `${operation}: ${place} has to be one of ${names.join(", ")}, but is ${inWords(value)}.`,
    );
  };

const list =
  (check: Check, length?: number): Check =>
  (operation, place, value) => {
    if (!isShortList(value) || (length !== undefined && value.length !== length))
      throw new ArgumentError(
        `${operation}: ${place} has to be a list${length === undefined ? "" : ` of ${length}`}, but is ${inWords(value)}.`,
      );
    for (const [i, item] of value.entries()) check(operation, `entry ${i} of ${place}`, item);
  };

/** Values of one kind by names of any kind. */
const record =
  (check: Check): Check =>
  (operation, place, value) => {
    for (const [name, item] of Object.entries(expectNamed(operation, place, value as object)))
      check(operation, `${place}.${name}`, item);
  };

/** Named fields; those after `optional` may be missing. */
const fields =
  <T>(checks: Readonly<Record<keyof T, Check>>, optional: readonly (keyof T)[] = []): Check =>
  (operation, place, value) => {
    const given = expectNamed(operation, place, value as T, checks);
    for (const [name, check] of Object.entries<Check>(checks)) {
      const item = given[name as keyof T];
      if (item === undefined && optional.includes(name as keyof T)) continue;
      check(operation, `${place}.${name}`, item);
    }
  };

/** Settings of a table, all of them, as another part of the package checks them; its message names what is wrong. */
const settingsOf =
  (rows: Rows, check: (value: never) => unknown): Check =>
  (operation, place, value) => {
    const given = expectNamed(operation, place, value as Settings);
    const missing = Object.entries(rows).find(
      ([name, { kind }]) => given[name] === undefined && !kind.holds(undefined, {}),
    );
    if (missing) throw new ArgumentError(`${operation}: ${place} has no ${missing[0]}.`);
    check(value as never);
  };

const augmentation: Check = (operation, place, value) =>
  checkAugmentation(expectNamed(operation, place, value as Augmentation));

const score = fields<ScoreFact>({ value: orNull(number), interval: list(number, 2), reason: text }, [
  "interval",
  "reason",
]);

const column: Check = (operation, place, value) => {
  const isCounted = "counts" in expectNamed(operation, place, value as object);
  const check = isCounted
    ? fields({ counts: record(number), missing: number })
    : fields({ median: number, quartiles: list(number, 2), missing: number });
  check(operation, place, value);
};

const part = fields<PartFacts>({
  images: number,
  patients: orNull(number),
  classes: record(number),
  columns: record(column),
});

const division = fields<DivisionFacts>(
  {
    given: flag,
    validationFraction: number,
    testFraction: number,
    seed: number,
    keptTogether: flag,
    groups: text,
    leaksAllowed: flag,
  },
  ["given", "validationFraction", "testFraction", "seed", "keptTogether", "groups", "leaksAllowed"],
);

const training = fields<TrainingFacts>(
  {
    settings: settingsOf(trainingRows, trainingSettings),
    augmentation: augmentation,
    epochs: number,
    bestEpoch: number,
    from: oneOf("random weights", "given weights"),
    best: fields({ trainLoss: number, loss: number, auc: orNull(number) }),
  },
  ["epochs", "bestEpoch", "best"],
);

const subgroup = fields<SubgroupFact>(
  {
    attribute: text,
    value: text,
    label: text,
    samples: number,
    metric: text,
    inside: score,
    difference: score,
  },
  ["label"],
);

const evaluation = fields<EvaluationFacts>(
  {
    part: oneOf("train", "val", "test", "all"),
    external: flag,
    samples: number,
    patients: orNull(number),
    classes: list(text),
    scores: record(score),
    sensitivity: list(score),
    specificity: list(score),
    confusion: list(list(number)),
    operating: fields({ threshold: number, scores: record(score) }),
    calibration: fields({ slope: score, intercept: score }),
    subgroups: list(subgroup),
  },
  ["external", "sensitivity", "specificity", "confusion", "operating", "calibration", "subgroups"],
);

const audit = fields<AuditFacts>({
  ok: flag,
  images: number,
  unreadable: number,
  duplicates: number,
  nearDuplicates: number,
  crossSplit: number,
  labelConflicts: number,
  burnedIn: number,
  patientsAcrossSplits: number,
  sizes: record(number),
});

const network: Check = (operation, place, value) => {
  const { parameters, ...config } = expectNamed(operation, place, value as NonNullable<RunFacts["network"]>);
  if (parameters !== undefined) number(operation, `${place}.parameters`, parameters);
  settingsOf(modelRows, medMambaConfig)(operation, place, config);
};

const software: Readonly<Record<keyof SoftwareFacts, Check>> = {
  name: text,
  version: text,
  license: text,
  node: text,
  platform: text,
};

const checks: Readonly<Record<keyof RunFacts, Check>> = {
  software: fields<SoftwareFacts>(software),
  checkpoint: fields({ file: text, sha256: text }, ["sha256"]),
  runKept: flag,
  computing: fields({ device: text, precision: text }, ["precision"]),
  task: oneOf("binary", "multi-class", "multi-label", "ordinal"),
  classes: list(text),
  network,
  preprocessing: settingsOf(preprocessingRows, definePreprocessing),
  frames: text,
  dataName: text,
  parts: fields({ train: part, val: part, test: part }, ["train", "val", "test"]),
  externalPart: part,
  division,
  training,
  thresholds: list(number),
  evaluation,
  audit,
  seal: fields<SealFacts>({ looks: number, intact: flag, sameImages: flag }),
  uncertainty: fields<UncertaintyFacts>(
    { temperature: number, risk: number, falseAlarms: number, referred: score, rightOfAnswered: score },
    ["temperature", "risk", "falseAlarms", "referred", "rightOfAnswered"],
  ),
  explanation: fields({ method: text, images: number, check: text }, ["check"]),
};

/** @throws ArgumentError naming what is no fact of a run */
export function expectFacts(operation: string, facts: RunFacts): void {
  fields<RunFacts>(checks, Object.keys(checks) as (keyof RunFacts)[])(operation, "facts", facts);
}
