/**
 * What a run can truthfully say of itself: plain JSON. What is undefined is unknown, and is never guessed by whoever reads it.
 * No patient, path or date is in it; words from outside are names of classes and of columns, and values of columns that were
 * asked for.
 */
import type { Augmentation } from "../../data/augmentation.js";
import type { Preprocessing } from "../../data/preprocessing.js";
import type { SplitName } from "../../data/splitting/split-names.js";
import type { MedMambaConfig } from "../../models/config.js";
import type { TaskName } from "../../tasks/task.js";
import type { TrainingSettings } from "../../training/settings.js";

/** A number of an evaluation, with its 95 % interval or why there is none. */
export interface ScoreFact {
  /** Null where it is not defined. */
  readonly value: number | null;
  /** Both ends. */
  readonly interval?: readonly [number, number];
  /** Why there is no interval. */
  readonly reason?: string;
}

/** The program that trained and judged. */
export interface SoftwareFacts {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** Such as "v20.19.0". */
  readonly node: string;
  /** Such as "linux x64". */
  readonly platform: string;
}

/** What a column says of the images of a part: how many have each value, or where its numbers lie. */
export type ColumnFact =
  | { readonly counts: Readonly<Record<string, number>>; readonly missing: number }
  | { readonly median: number; readonly quartiles: readonly [number, number]; readonly missing: number };

/** A part of the data. */
export interface PartFacts {
  readonly images: number;
  /** Null where no patient is known. */
  readonly patients: number | null;
  /** Images of each class. */
  readonly classes: Readonly<Record<string, number>>;
  /** Of columns that were asked for, by their titles. */
  readonly columns: Readonly<Record<string, ColumnFact>>;
}

/** How the data were divided. */
export interface DivisionFacts {
  /** Percent of the images for validation and test, where the package divided. */
  readonly validationFraction?: number;
  readonly testFraction?: number;
  readonly seed?: number;
  /** Whether images of a patient, or of a group, were kept in one part. */
  readonly keptTogether?: boolean;
  /** The column by which, where it is not the patient. */
  readonly groups?: string;
  /** Whether leaks were allowed; false: a patient in two parts is refused, and copies are left out of train. */
  readonly leaksAllowed?: boolean;
}

/** How it was trained. */
export interface TrainingFacts {
  readonly settings: TrainingSettings;
  readonly augmentation: Augmentation;
  /** Epochs that were trained; fewer than planned where it was stopped early. */
  readonly epochs?: number;
  readonly bestEpoch?: number;
  /** How training began. */
  readonly from: "random weights" | "given weights";
  /** Loss of the best epoch on the training and the validation images, and its AUC on the latter. */
  readonly best?: { readonly trainLoss: number; readonly loss: number; readonly auc: number | null };
}

/** A group beside all others. */
export interface SubgroupFact {
  readonly attribute: string;
  readonly value: string;
  /** Of several labels, which. */
  readonly label?: string;
  readonly samples: number;
  /** "accuracy" or "auc". */
  readonly metric: string;
  readonly inside: ScoreFact;
  readonly difference: ScoreFact;
}

/** What came out on images that were judged. */
export interface EvaluationFacts {
  /** Which images: a part of the data of the training, or all of other data. */
  readonly part: SplitName | "all";
  /** Whether these are other data than those of the training; undefined where the checkpoint does not know its own. */
  readonly external?: boolean;
  readonly samples: number;
  /** Null where images count as patients. */
  readonly patients: number | null;
  readonly classes: readonly string[];
  /** By the name of the score, such as "AUC". */
  readonly scores: Readonly<Record<string, ScoreFact>>;
  /** By class. */
  readonly sensitivity?: readonly ScoreFact[];
  readonly specificity?: readonly ScoreFact[];
  /** (true, called) images. */
  readonly confusion?: readonly (readonly number[])[];
  /** At the threshold of two classes. */
  readonly operating?: {
    readonly threshold: number;
    readonly scores: Readonly<Record<string, ScoreFact>>;
  };
  /** Slope and intercept of the calibration line of two classes. */
  readonly calibration?: { readonly slope: ScoreFact; readonly intercept: ScoreFact };
  readonly subgroups?: readonly SubgroupFact[];
}

/** What an audit found. */
export interface AuditFacts {
  readonly ok: boolean;
  readonly images: number;
  readonly unreadable: number;
  readonly duplicates: number;
  readonly nearDuplicates: number;
  readonly crossSplit: number;
  readonly labelConflicts: number;
  readonly burnedIn: number;
  readonly patientsAcrossSplits: number;
  /** "512 x 512" and how many. */
  readonly sizes: Readonly<Record<string, number>>;
}

/** How the test images were kept apart. */
export interface SealFacts {
  /** Evaluations on the test images that the ledger of the run counts. */
  readonly looks: number;
  /** Whether the ledger's chain of hashes is whole. */
  readonly intact: boolean;
  /** Whether the test images are those that the checkpoint was sealed with. */
  readonly sameImages: boolean;
}

/** What is kept in the checkpoint for images that it should not answer. */
export interface UncertaintyFacts {
  /** By which the logits are divided, found on validation images. */
  readonly temperature?: number;
  /** Of prediction sets: the share of new images whose truth may be missing from them. */
  readonly risk?: number;
  /** Share of images of the right kind that are called unlike those of the training at most. */
  readonly falseAlarms?: number;
  /** Share of the judged images that is referred to a human. */
  readonly referred?: ScoreFact;
  /** Share of the others that is called rightly. */
  readonly rightOfAnswered?: ScoreFact;
}

/** All of it. */
export interface RunFacts {
  readonly software?: SoftwareFacts;
  /** Of the checkpoint's file. */
  readonly checkpoint?: { readonly file: string; readonly sha256?: string };
  /** Whether `run.json` of the training is beside the checkpoint. */
  readonly runKept?: boolean;
  /** Such as "NVIDIA H200" and "bf16". */
  readonly computing?: { readonly device: string; readonly precision?: string };
  readonly task?: TaskName;
  readonly classes?: readonly string[];
  readonly network?: MedMambaConfig & { readonly parameters?: number };
  readonly preprocessing?: Preprocessing;
  /** Which pictures of a file with several were taken. */
  readonly frames?: string;
  /** Of the data, as the user called them: the last name of the path. */
  readonly dataName?: string;
  readonly parts?: Readonly<Partial<Record<SplitName, PartFacts>>>;
  /** Of the images that were judged, where these are other data. */
  readonly externalPart?: PartFacts;
  readonly division?: DivisionFacts;
  readonly training?: TrainingFacts;
  /** Of two classes, or of each label of several, chosen on validation images. */
  readonly thresholds?: readonly number[];
  readonly evaluation?: EvaluationFacts;
  readonly audit?: AuditFacts;
  readonly seal?: SealFacts;
  readonly uncertainty?: UncertaintyFacts;
  /** Method of the heat maps in the report, where there are any. */
  readonly explanation?: {
    readonly method: string;
    readonly images: number;
    /** How it was checked that the maps are about the network, as a sentence. */
    readonly check?: string;
  };
}
