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
  /** Of the package. */
  readonly name: string;
  /** Of the package. */
  readonly version: string;
  /** Of the package. */
  readonly license: string;
  /** Such as "v20.19.0". */
  readonly node: string;
  /** Such as "linux x64". */
  readonly platform: string;
}

/** The file of the checkpoint. */
export interface CheckpointFacts {
  /** Its name, without a path. */
  readonly file: string;
  /** Of its bytes, in hexadecimal digits. */
  readonly sha256?: string;
}

/** What it was judged on. */
export interface ComputingFacts {
  /** Such as "NVIDIA H200". */
  readonly device: string;
  /** Such as "bf16". */
  readonly precision?: string;
}

/** The network. */
export interface NetworkFacts extends MedMambaConfig {
  /** How many numbers were learned or kept with them. */
  readonly parameters?: number;
}

/** A column of which the images with each value are counted. */
export interface CountedColumn {
  /** Images with each value. */
  readonly counts: Readonly<Record<string, number>>;
  /** Images without one. */
  readonly missing: number;
}

/** A column of many different numbers. */
export interface MeasuredColumn {
  /** As many are below as above. */
  readonly median: number;
  /** A quarter is below the first, a quarter above the second. */
  readonly quartiles: readonly [number, number];
  /** Images without one. */
  readonly missing: number;
}

/** What a column says of the images of a part. */
export type ColumnFact = CountedColumn | MeasuredColumn;

/** A part of the data. */
export interface PartFacts {
  /** How many. */
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
  /** Whether the data came divided, by whoever made them; false: the package divided them at random. */
  readonly given?: boolean;
  /** Share of the images to validate on, where the package divided. */
  readonly validationFraction?: number;
  /** Share of the images to test on, where the package divided. */
  readonly testFraction?: number;
  /** Of the division. */
  readonly seed?: number;
  /** Whether images of a patient, or of a group, were kept in one part. */
  readonly keptTogether?: boolean;
  /** The column by which, where it is not the patient. */
  readonly groups?: string;
  /** Whether leaks were allowed; false: a patient in two parts is refused, and copies are left out of train. */
  readonly leaksAllowed?: boolean;
}

/** The best epoch. */
export interface BestEpochFacts {
  /** Mean loss of its steps. */
  readonly trainLoss: number;
  /** On the validation images. */
  readonly loss: number;
  /** On the validation images; null where it is not defined. */
  readonly auc: number | null;
}

/** How it was trained. */
export interface TrainingFacts {
  /** All settings. */
  readonly settings: TrainingSettings;
  /** Random changes of the training images. */
  readonly augmentation: Augmentation;
  /** Epochs that were trained; fewer than planned where it was stopped early. */
  readonly epochs?: number;
  /** The number of the best epoch, from 1. */
  readonly bestEpoch?: number;
  /** How training began. */
  readonly from: "random weights" | "given weights";
  /** What the best epoch reached. */
  readonly best?: BestEpochFacts;
}

/** A group beside all others. */
export interface SubgroupFact {
  /** Title of the column. */
  readonly attribute: string;
  /** Its value in the group. */
  readonly value: string;
  /** Of several labels, which. */
  readonly label?: string;
  /** Images in the group. */
  readonly samples: number;
  /** "accuracy" or "auc". */
  readonly metric: string;
  /** In the group. */
  readonly inside: ScoreFact;
  /** In the group less that of all others. */
  readonly difference: ScoreFact;
}

/** What calls are worth at the threshold. */
export interface OperatingFacts {
  /** Probability of the second class from which it is called. */
  readonly threshold: number;
  /** By the name of the score, such as "sensitivity". */
  readonly scores: Readonly<Record<string, ScoreFact>>;
}

/** Whether probabilities come true, by a line. */
export interface CalibrationFacts {
  /** 1 is right. */
  readonly slope: ScoreFact;
  /** 0 is right. */
  readonly intercept: ScoreFact;
}

/** What came out on images that were judged. */
export interface EvaluationFacts {
  /** Which images: a part of the data of the training, or all of other data. */
  readonly part: SplitName | "all";
  /** Whether these are other data than those of the training; undefined where the checkpoint does not know its own. */
  readonly external?: boolean;
  /** Images. */
  readonly samples: number;
  /** Null where images count as patients. */
  readonly patients: number | null;
  /** Names of the classes. */
  readonly classes: readonly string[];
  /** By the name of the score, such as "AUC". */
  readonly scores: Readonly<Record<string, ScoreFact>>;
  /** Of each class. */
  readonly sensitivity?: readonly ScoreFact[];
  /** Of each class. */
  readonly specificity?: readonly ScoreFact[];
  /** (true, called) images. */
  readonly confusion?: readonly (readonly number[])[];
  /** Of two classes with a threshold. */
  readonly operating?: OperatingFacts;
  /** Of two classes. */
  readonly calibration?: CalibrationFacts;
  /** Of the columns that were asked for. */
  readonly subgroups?: readonly SubgroupFact[];
}

/** What an audit found: how many of each. */
export interface AuditFacts {
  /** Whether nothing was found that makes scores wrong. */
  readonly ok: boolean;
  /** That were looked at. */
  readonly images: number;
  /** That cannot be decoded. */
  readonly unreadable: number;
  /** Sets of identical images. */
  readonly duplicates: number;
  /** Pairs that are nearly the same. */
  readonly nearDuplicates: number;
  /** Pairs of both kinds in two parts. */
  readonly crossSplit: number;
  /** Pairs of both kinds under different labels. */
  readonly labelConflicts: number;
  /** DICOM files that say that words are written into the picture. */
  readonly burnedIn: number;
  /** Patients in more than one part. */
  readonly patientsAcrossSplits: number;
  /** Images of each size, such as "512 x 512". */
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

/** Heat maps in the report. */
export interface ExplanationFacts {
  /** Such as "occlusion". */
  readonly method: string;
  /** That have one. */
  readonly images: number;
  /** How it was checked that the maps are about the network, as a sentence. */
  readonly check?: string;
}

/** All that a run says of itself. */
export interface RunFacts {
  /** The program. */
  readonly software?: SoftwareFacts;
  /** The file. */
  readonly checkpoint?: CheckpointFacts;
  /** Whether `run.json` of the training is beside the checkpoint. */
  readonly runKept?: boolean;
  /** What it was judged on. */
  readonly computing?: ComputingFacts;
  /** What is told. */
  readonly task?: TaskName;
  /** Names of the outputs. */
  readonly classes?: readonly string[];
  /** The network. */
  readonly network?: NetworkFacts;
  /** How a picture becomes what the network sees. */
  readonly preprocessing?: Preprocessing;
  /** Which pictures of a file with several were taken. */
  readonly frames?: string;
  /** Of the data, as the user called them: the last name of the path. */
  readonly dataName?: string;
  /** The data of the training. */
  readonly parts?: Readonly<Partial<Record<SplitName, PartFacts>>>;
  /** Of the images that were judged, where these are other data. */
  readonly externalPart?: PartFacts;
  /** How the data were divided. */
  readonly division?: DivisionFacts;
  /** How it was trained. */
  readonly training?: TrainingFacts;
  /** Of two classes, or of each label of several, chosen on validation images. */
  readonly thresholds?: readonly number[];
  /** What came out. */
  readonly evaluation?: EvaluationFacts;
  /** What an audit found. */
  readonly audit?: AuditFacts;
  /** How the test images were kept apart. */
  readonly seal?: SealFacts;
  /** What it does about images that it should not answer. */
  readonly uncertainty?: UncertaintyFacts;
  /** Where the network looked. */
  readonly explanation?: ExplanationFacts;
}
