/** What an audit finds: plain JSON, without names of patients or places on the machine. */
import type { SplitName } from "../data/splitting/split-names.js";
import type { Shortcuts } from "./shortcuts.js";

/** An image that is spoken of. */
export interface AuditedImage {
  /** Null of a data set that is not divided. */
  readonly split: SplitName | null;
  /** Its number in its split. */
  readonly index: number;
  /** Where it is within the data set. */
  readonly name: string;
  /** Names of its classes. */
  readonly labels: readonly string[];
}

/** What one thing is said of. */
export interface Some<T> {
  /** How many there are. */
  readonly count: number;
  /** The first of them; all unless there are more than were to be listed. */
  readonly first: readonly T[];
}

/** How often each of some values occurs, the commonest first. */
export type Counts = Readonly<Record<string, number>>;

/** Two images that are the same, or nearly. */
export interface SimilarPair {
  /** Both, in the order of the data set. */
  readonly images: readonly [AuditedImage, AuditedImage];
  /** Correlation of their textures; 1 of identical pixels. */
  readonly similarity: number;
  /** How the second lies on the first, such as "mirrored"; "identical" of identical pixels. */
  readonly how: string;
}

/** An image that cannot be decoded. */
export interface UnreadableEntry extends AuditedImage {
  /** Why not. */
  readonly reason: string;
}

/** Images whose pixels are identical. */
export interface IdenticalImages {
  /** Two or more, in the order of the data set. */
  readonly images: readonly AuditedImage[];
}

/** What is in a split. */
export interface AuditedSplit {
  /** How many. */
  readonly images: number;
  /** Null where none is known. */
  readonly patients: number | null;
  /** Images of each class. */
  readonly classes: Counts;
}

/** A report of an audit. */
export interface AuditReport {
  /** What images are by themselves. */
  readonly images: {
    /** All of them. */
    readonly count: number;
    /** Those that cannot be decoded. */
    readonly unreadable: Some<UnreadableEntry>;
    /** Every pixel of one value. */
    readonly constant: Some<AuditedImage>;
    /** All but a few pixels of one value. */
    readonly blank: Some<AuditedImage>;
    /** A side shorter than 32 pixels. */
    readonly tiny: Some<AuditedImage>;
    /** A tenth of the pixels at white, or a third at black without being a border: values that were cut off. */
    readonly clipped: Some<AuditedImage>;
    /** Width and height in pixels, such as "512 x 512". */
    readonly sizes: Counts;
    /** Of a value as it is stored, such as "16". */
    readonly bitDepths: Counts;
    /** "grey" or "color". */
    readonly channels: Counts;
    /** As DICOM files have it, such as "MONOCHROME1". */
    readonly photometrics: Counts;
    /** DICOM files that say that words are written into the pixels, which may name the patient. */
    readonly burnedIn: Some<AuditedImage>;
    /** In millimeters, where files say. */
    readonly spacings: Counts;
  };
  /** Whom images are of, by numbers alone. */
  readonly patients: {
    /** Null where no patient of any image is known. */
    readonly count: number | null;
    /** Images whose patient is known. */
    readonly images: number;
    /** Patients with images in more than one split. */
    readonly acrossSplits: number;
    /** The same of groups that are to stay together, where the data have them beside patients. */
    readonly groupsAcrossSplits: number;
  };
  /** By the name of the split; "all" of a data set that is not divided. */
  readonly splits: Readonly<Record<string, AuditedSplit>>;
  /** Sets of images whose pixels are identical. */
  readonly duplicates: Some<IdenticalImages>;
  /** Pairs that are nearly the same, most similar first. */
  readonly nearDuplicates: Some<SimilarPair>;
  /** Pairs of both kinds whose images are in two splits. */
  readonly crossSplit: Some<SimilarPair> & {
    /** Pairs of them with identical pixels. */
    readonly identical: number;
    /** Images of validation and test that have a copy in train, identical or nearly. */
    readonly copiesOfTrain: number;
  };
  /** Pairs of both kinds whose images have different labels. */
  readonly labelConflicts: Some<SimilarPair>;
  /** How well labels follow from what is no finding. */
  readonly shortcuts: Shortcuts;
  /** A sentence for everything that is to be looked at. */
  readonly warnings: readonly string[];
  /** Whether nothing was found that makes scores wrong: no leak between splits, no contradiction, nothing unreadable. */
  readonly ok: boolean;
}
