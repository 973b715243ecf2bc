/** The architecture of a MedMamba: its settings, the published variants, and what cannot be. */
import { ArgumentError } from "../errors.js";
import type { Flag } from "../settings/flags.js";
import { inWords } from "../settings/given.js";
import { count, fractionBelowOne, number, numbers, oneOf } from "../settings/kind.js";
import { complete, expectKnown, setting, type ValuesOf } from "../settings/table.js";
import type { Precision } from "../tensor/device.js";
import type { DeviceLike } from "../tensor/devices.js";

/** What goes for each of them is judged in `medMambaConfig`, where all are known. */
const sizes = numbers("whole numbers", "whole numbers with commas between, such as 2,2,4,2", (values) =>
  values.every(Number.isInteger),
);

const tiny = { depths: [2, 2, 4, 2], dims: [96, 192, 384, 768] } as const;

/** The settings of an architecture. */
export const modelRows = {
  /** Blocks of each stage. */
  depths: setting({
    kind: sizes,
    default: tiny.depths,
    flag: "--depths <list>",
    words: "blocks of each stage, such as 2,2,4,2",
    defaultWords: "tiny's",
  }),
  /** Channels of each stage: even, each twice the one before. */
  dims: setting({
    kind: sizes,
    default: tiny.dims,
    flag: "--dims <list>",
    words: "channels of each stage, each twice the one before",
    defaultWords: "tiny's",
    alsoKnownAs: ["widths", "embedDim"],
  }),
  /** States of each channel of the scan; default 16. */
  dState: setting({
    kind: count,
    default: 16,
    flag: "--d-state <count>",
    words: "states of the scan for each channel",
    alsoKnownAs: ["states"],
  }),
  /** Side of the square patches, in pixels; default 4. */
  patchSize: setting({
    kind: count,
    default: 4,
    flag: "--patch-size <pixels>",
    words: "side of the patches an image is cut into",
  }),
  /** Channels of the images; default 3. */
  inChannels: setting({
    kind: count,
    default: 3,
    words: "channels of the images",
    alsoKnownAs: ["inChans", "imageChannels"],
  }),
  /** Outputs of the network; default 6. */
  numClasses: setting({
    kind: count,
    default: 6,
    words: "outputs of the network",
    alsoKnownAs: ["classes", "outputs"],
  }),
  /** DropPath rate of the last block; it grows linearly from 0 at the first; default 0.1. */
  dropPathRate: setting({
    kind: number("in [0, 1)", (value) => fractionBelowOne.holds(value, {})),
    default: 0.1,
    flag: "--drop-path <rate>",
    words: "chance that an image skips the last block's scan",
  }),
};

/** Architecture of one MedMamba: plain JSON, kept in checkpoints. */
export interface MedMambaConfig extends ValuesOf<typeof modelRows> {}

/** Name of a variant. */
export type Variant = "tiny" | "small" | "base" | "small-paper" | "base-paper";

/**
 * Depths and dims by name. Released code and published tables disagree about the depth of S and B: "small" and
 * "base" are what the code builds, "small-paper" and "base-paper" reproduce the published parameter counts.
 */
export const variants: Readonly<Record<Variant, Pick<MedMambaConfig, "depths" | "dims">>> = {
  tiny,
  small: { depths: [2, 2, 8, 2], dims: [96, 192, 384, 768] },
  base: { depths: [2, 2, 12, 2], dims: [128, 256, 512, 1024] },
  "small-paper": { depths: [2, 2, 12, 2], dims: [96, 192, 384, 768] },
  "base-paper": { depths: [2, 2, 16, 2], dims: [128, 256, 512, 1024] },
};

/** `--variant`: depths and dims by name. */
export const variantFlag: Flag = {
  flag: "--variant <name>",
  words: "size of the network (default: tiny)",
  kind: oneOf(Object.keys(variants) as Variant[]),
  change: (settings, name) => ({ ...settings, ...variants[name as Variant] }),
};

/**
 * What to build: a variant by name, single settings, or both. Defaults besides it: `dState` 16, `patchSize` 4, `inChannels` 3,
 * `numClasses` 6, `dropPathRate` 0.1.
 */
export interface MedMambaOptions extends Partial<MedMambaConfig> {
  /** Depths and dims by name; default "tiny". Single settings override it. */
  variant?: Variant;
  /** Default "cpu". */
  device?: DeviceLike;
  /** How the device multiplies; default "float32", or that of an opened device. */
  precision?: Precision | undefined;
}

/** Far beyond what trains, and small enough that no mistake or damaged file fills the machine. */
const largest = {
  depths: 1000,
  dims: 1_048_576,
  dState: 1024,
  patchSize: 1024,
  inChannels: 4096,
  numClasses: 1_000_000,
};
const mostStages = 16;

/**
 * The whole architecture from a few settings.
 *
 * @throws ArgumentError naming the setting that cannot be, or the nearest one to a name that is none
 */
export function medMambaConfig(options: MedMambaOptions = {}): MedMambaConfig {
  expectKnown("MedMamba", options, modelRows, ["variant", "device", "precision"]);
  const { variant = "tiny", device: _, precision: __, ...settings } = options;
  if (typeof variant !== "string" || !Object.hasOwn(variants, variant)) {
    throw new ArgumentError(
      `there is no variant ${inWords(variant)}: choose from ${Object.keys(variants).join(", ")}.`,
    );
  }
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  const config = complete(
    "MedMamba",
    modelRows,
    { ...variants[variant], ...Object.fromEntries(given) },
    (name, value, range) => `${name} ${value} is not ${range}.`,
  );
  const { depths, dims } = config;
  if (depths.length !== dims.length || depths.length === 0) {
    throw new ArgumentError(`depths [${depths}] and dims [${dims}] need one entry for each stage.`);
  }
  if (depths.some((depth) => !Number.isInteger(depth) || depth < 0)) {
    throw new ArgumentError(`depths [${depths}] are not non-negative integers.`);
  }
  for (const [name, values] of Object.entries(config)) {
    const most = largest[name as keyof typeof largest];
    if (most === undefined || [values].flat().every((value) => (value as number) <= most)) continue;
    throw new ArgumentError(`${name} [${[values].flat()}] is beyond ${most}, the most that is built.`);
  }
  if (depths.length > mostStages)
    throw new ArgumentError(`there are ${depths.length} stages, and at most ${mostStages} are built.`);
  const doubling = dims.every((dim, i) => i === 0 || dim === 2 * (dims[i - 1] ?? 0));
  if (!doubling || dims.some((dim) => !Number.isInteger(dim) || dim < 2 || dim % 2 !== 0)) {
    throw new ArgumentError(
      `dims [${dims}] must be even, each twice the one before: patch merging doubles them.`,
    );
  }
  return config;
}
