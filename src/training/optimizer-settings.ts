/** What optimisers are told, as tables: names, defaults and ranges, for all parameters or for a group of them. */
import { type Kind, number, toggle } from "../settings/kind.js";
import { setting, type ValuesOf } from "../settings/table.js";

const rate = number("a finite number of 0 or more", (value) => value >= 0 && Number.isFinite(value));
const decay = number("from 0 to below 1", (value) => value >= 0 && value < 1);

const betas: Kind<readonly [number, number]> = {
  range: "two numbers from 0 to below 1",
  holds: (value) =>
    Array.isArray(value) && value.length === 2 && value.every((beta) => decay.holds(beta, {})),
  parse: () => undefined,
};

/** The settings of `SGD`. */
export const sgdRows = {
  /** Learning rate; has to be given. */
  lr: setting<number>({ kind: rate, default: Number.NaN, words: "learning rate" }),
  /** Default 0. */
  momentum: setting({ kind: decay, default: 0, words: "share of the step before that is taken again" }),
  /** Default 0. */
  dampening: setting({ kind: rate, default: 0, words: "share of the gradient that the momentum leaves out" }),
  /** L2 penalty added to the gradient; default 0. */
  weightDecay: setting({ kind: rate, default: 0, words: "L2 penalty added to the gradient" }),
  /** Default false. */
  nesterov: setting({ kind: toggle, default: false, words: "look ahead along the momentum" }),
};

/** Settings of `SGD`. */
export interface SGDSettings extends ValuesOf<typeof sgdRows> {}

/** The settings of `Adam`. */
export const adamRows = {
  /** Default 1e-3. */
  lr: setting({ kind: rate, default: 1e-3, words: "learning rate", alsoKnownAs: ["learningRate"] }),
  /** Decay of the first and second moments; default [0.9, 0.999]. */
  betas: setting({ kind: betas, default: [0.9, 0.999], words: "decay of the first and second moments" }),
  /** Default 1e-8. */
  eps: setting({ kind: rate, default: 1e-8, words: "added to the root of the second moment" }),
  /** Adam: L2 penalty, default 0. AdamW: decoupled decay, default 0.01. */
  weightDecay: setting({ kind: rate, default: 0, words: "L2 penalty, or decoupled decay" }),
};

/** The settings of `AdamW`. */
export const adamWRows = { ...adamRows, weightDecay: { ...adamRows.weightDecay, default: 0.01 } };

/** Settings of `Adam` and `AdamW`. */
export interface AdamSettings extends ValuesOf<typeof adamRows> {}
