/**
 * Optimisers. One optimiser owns one flat buffer of gradients: each parameter's `grad` is a slice of it, written in
 * place by backward, and its state (momentum, moments) lies in flat buffers of the same layout. A step is one call
 * to the device for all parameters of a group.
 */
import { ArgumentError, ShapeError } from "../errors.js";
import { adam, clippedNorm, sgd, type Update } from "../ops/updates.js";
import { zeros } from "../tensor/creation.js";
import type { Device } from "../tensor/device.js";
import { keep } from "../tensor/scope.js";
import { Tensor } from "../tensor/tensor.js";

/** Parameters with settings of their own. */
export interface ParameterGroup<Settings> {
  /** Trainable leaves, such as a module's `parameters()`. */
  parameters: Iterable<Tensor>;
  /** Override those of the optimiser for this group. */
  settings?: Partial<Settings>;
}

/** What every optimiser is told. */
export interface OptimizerSettings {
  /** Learning rate. */
  lr: number;
}

/** What an optimiser must remember to continue exactly. */
export interface OptimizerState {
  /** Steps taken. */
  readonly step: number;
  /** The optimiser's flat buffers by name. */
  readonly tensors: Readonly<Record<string, Tensor>>;
}

interface Group<Settings> {
  readonly parameters: readonly Tensor[];
  readonly settings: Settings;
}

/** Elements that slices start at multiples of: a cache line, so that every kernel reads aligned. */
const alignment = 16;

/** A step's parameters and gradients, and their part of the optimiser's state, by name. */
interface Moved extends Update {
  readonly state: Readonly<Record<string, readonly Tensor[]>>;
}

/**
 * What all optimisers share: gradients and state in flat buffers, `step`, `zeroGrad`, clipping, and going on from a saved state.
 */
export abstract class Optimizer<Settings extends OptimizerSettings> {
  /** Steps taken. */
  stepCount = 0;
  /**
   * All gradients in one buffer, float32 (n): each parameter's `grad` is a slice of it, in the order of the parameters,
   * group after group. A slice starts at the next multiple of 16 elements, and what lies between two slices is 0 and stays 0.
   *
   * Backward writes the slices in place, so that all gradients can be summed over processes, scaled or looked at as one
   * tensor between `backward()` and `step()`. `zeroGrad` leaves the bytes as they are, and the next backward overwrites them:
   * a parameter whose `grad` is null then still has those of an earlier step here. The buffer is the optimiser's: read and
   * write it, but leave its disposal to `dispose()`.
   */
  readonly gradients: Tensor;
  /** @internal */
  protected readonly groups: readonly Group<Settings>[];
  readonly #parameters: readonly Tensor[];
  readonly #offsets: readonly number[];
  readonly #flatSize: number;
  readonly #device: Device;
  readonly #state: Record<string, Tensor> = {};
  /** Each parameter's part of the state, by name. */
  readonly #slices: Record<string, readonly Tensor[]> = {};
  #gradientScale: Tensor | undefined;

  /**
   * @param stateNames  names of the flat buffers that `update` uses
   * @throws ArgumentError if there are no parameters, one is given twice or is not a trainable float32 leaf
   */
  protected constructor(
    parameters: Iterable<Tensor> | readonly ParameterGroup<Settings>[],
    defaults: Settings,
    stateNames: readonly string[],
  ) {
    const given = [...parameters] as readonly (Tensor | ParameterGroup<Settings>)[];
    const grouped = given.every((item) => item instanceof Tensor) ? [{ parameters: given }] : given;
    this.groups = (grouped as readonly ParameterGroup<Settings>[]).map((group) => ({
      parameters: [...group.parameters],
      settings: { ...defaults, ...group.settings },
    }));
    this.#parameters = this.groups.flatMap((group) => group.parameters);
    const [first] = this.#parameters;
    if (!first) throw new ArgumentError("optimiser: there are no parameters to optimise.");
    if (new Set(this.#parameters).size !== this.#parameters.length) {
      throw new ArgumentError("optimiser: a parameter was given twice.");
    }
    this.#device = first.device;
    let end = 0;
    this.#offsets = this.#parameters.map((parameter) => {
      if (!parameter.requiresGrad || parameter.node || parameter.device !== this.#device) {
        throw new ArgumentError(`optimiser: ${parameter} is not a trainable leaf on ${this.#device}.`);
      }
      const offset = end;
      end += Math.ceil(parameter.size / alignment) * alignment;
      return offset;
    });
    this.#flatSize = end;
    this.gradients = keep(zeros([end], { device: this.#device }));
    for (const name of stateNames) {
      const flat = keep(zeros([end], { device: this.#device }));
      this.#state[name] = flat;
      this.#slices[name] = this.#parameters.map(({ shape }, i) => keep(flat.view(shape, this.#offsets[i])));
    }
    for (const [i, parameter] of this.#parameters.entries()) {
      // Of an optimiser before; a gradient that is there stays.
      if (parameter.grad !== parameter.gradSlice) parameter.gradSlice?.dispose();
      parameter.gradSlice = null;
      parameter.gradTarget?.dispose();
      parameter.gradTarget = keep(this.gradients.view(parameter.shape, this.#offsets[i]));
    }
  }

  /** Learning rate of all groups; reads the first group's. */
  get lr(): number {
    return this.groups[0]?.settings.lr ?? 0;
  }

  /** Sets it for all groups. */
  set lr(value: number) {
    for (const group of this.groups) group.settings.lr = value;
  }

  /** Forgets all gradients; the memory stays. */
  zeroGrad(): void {
    for (const parameter of this.#parameters) {
      if (parameter.grad !== parameter.gradSlice) parameter.grad?.dispose();
      parameter.grad = null;
    }
  }

  /**
   * Lets the next `step` scale all gradients so that their joint Euclidean norm is at most `maxNorm`.
   *
   * @returns  the norm before clipping, a scalar tensor
   */
  clipGradNorm(maxNorm: number): Tensor {
    if (!(maxNorm > 0)) throw new ArgumentError(`clipGradNorm: maxNorm ${maxNorm} is not positive.`);
    const gradients = this.#parameters.flatMap(({ grad }) => (grad ? [grad] : []));
    const { norm, scale } = clippedNorm(this.#device, gradients, maxNorm);
    keep(scale);
    this.#gradientScale?.dispose();
    this.#gradientScale = scale;
    return norm;
  }

  /** Moves every parameter that has a gradient by one step. */
  step(): void {
    this.#device.everyLaunch(() => {
      this.stepCount += 1;
    });
    let first = 0;
    for (const { parameters, settings } of this.groups) {
      const begin = first;
      first += parameters.length;
      const moves = (index: number) => this.#parameters[index]?.grad != null;
      const indices = parameters.map((_, i) => begin + i).filter(moves);
      if (indices.length === 0) continue;
      const moved = indices.map((i) => this.#parameters[i] as Tensor);
      const slices = Object.entries(this.#slices).map(([name, own]) => [
        name,
        indices.map((i) => own[i] as Tensor),
      ]);
      this.update(settings, {
        parameters: moved,
        gradients: moved.map((parameter) => parameter.grad as Tensor),
        gradientScale: this.#gradientScale,
        state: Object.fromEntries(slices),
      });
    }
    this.#gradientScale?.dispose();
    this.#gradientScale = undefined;
  }

  /**
   * @internal Moves the parameters of one group, with one call. What changes from step to step is read anew for each
   * launch of a graph.
   */
  protected abstract update(settings: Settings, moved: Moved): void;

  /** The state itself, not a copy. */
  stateDict(): OptimizerState {
    return { step: this.stepCount, tensors: { ...this.#state } };
  }

  /**
   * Continues from a state that `stateDict` gave, for the same parameters in the same order.
   *
   * @throws ShapeError if it belongs to other parameters or another kind of optimiser
   */
  loadStateDict({ step, tensors }: OptimizerState): void {
    for (const name of Object.keys(this.#state)) {
      if (tensors[name]?.size !== this.#flatSize) {
        throw new ShapeError(`optimiser: "${name}" of the saved state does not belong to these parameters.`);
      }
    }
    for (const [name, flat] of Object.entries(this.#state)) flat.copyFrom(tensors[name] as Tensor);
    this.stepCount = step;
  }

  /** Gives the memory of gradients and state back; the parameters live on without gradient. */
  dispose(): void {
    this.zeroGrad();
    for (const parameter of this.#parameters) {
      parameter.gradSlice?.dispose();
      parameter.gradSlice = null;
      parameter.gradTarget?.dispose();
      parameter.gradTarget = null;
    }
    for (const slice of Object.values(this.#slices).flat()) slice.dispose();
    for (const flat of [this.gradients, ...Object.values(this.#state)]) flat.dispose();
    this.#gradientScale?.dispose();
  }

  /** `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Settings of `SGD`. */
export interface SGDSettings {
  /** Learning rate; has to be given. */
  lr: number;
  /** Default 0. */
  momentum: number;
  /** Default 0. */
  dampening: number;
  /** L2 penalty added to the gradient; default 0. */
  weightDecay: number;
  /** Default false. */
  nesterov: boolean;
}

/** Stochastic gradient descent with momentum, by PyTorch's formulas. */
export class SGD extends Optimizer<SGDSettings> {
  constructor(
    parameters: Iterable<Tensor> | readonly ParameterGroup<SGDSettings>[],
    settings: Partial<SGDSettings> & { lr: number },
  ) {
    const defaults = { momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, ...settings };
    super(parameters, defaults, defaults.momentum > 0 ? ["momentum_buffers"] : []);
  }

  /** @internal */
  protected override update(settings: SGDSettings, { state, ...moved }: Moved): void {
    sgd(moved, state.momentum_buffers, () => ({
      learningRate: settings.lr,
      momentum: settings.momentum,
      dampening: settings.dampening,
      weightDecay: settings.weightDecay,
      nesterov: settings.nesterov,
      step: this.stepCount,
    }));
  }
}

/** Settings of `Adam` and `AdamW`. */
export interface AdamSettings {
  /** Default 1e-3. */
  lr: number;
  /** Decay of the first and second moments; default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Default 1e-8. */
  eps: number;
  /** Adam: L2 penalty, default 0. AdamW: decoupled decay, default 0.01. */
  weightDecay: number;
}

class AdamFamily extends Optimizer<AdamSettings> {
  readonly #decoupled: boolean;

  constructor(
    parameters: Iterable<Tensor> | readonly ParameterGroup<AdamSettings>[],
    settings: AdamSettings,
    decoupled: boolean,
  ) {
    super(parameters, settings, ["first_moments", "second_moments"]);
    this.#decoupled = decoupled;
  }

  /** @internal */
  protected override update(settings: AdamSettings, { state, ...moved }: Moved): void {
    const moments = { first: state.first_moments ?? [], second: state.second_moments ?? [] };
    adam(moved, moments, { decoupled: this.#decoupled }, () => ({
      learningRate: settings.lr,
      betas: settings.betas,
      eps: settings.eps,
      weightDecay: settings.weightDecay,
      step: this.stepCount,
    }));
  }
}

const adamDefaults = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8 } as const;

/** Adam (https://arxiv.org/abs/1412.6980), by PyTorch's formulas. */
export class Adam extends AdamFamily {
  constructor(
    parameters: Iterable<Tensor> | readonly ParameterGroup<AdamSettings>[],
    settings: Partial<AdamSettings> = {},
  ) {
    super(parameters, { ...adamDefaults, weightDecay: 0, ...settings }, false);
  }
}

/** Adam with decoupled weight decay (https://arxiv.org/abs/1711.05101), by PyTorch's formulas. */
export class AdamW extends AdamFamily {
  constructor(
    parameters: Iterable<Tensor> | readonly ParameterGroup<AdamSettings>[],
    settings: Partial<AdamSettings> = {},
  ) {
    super(parameters, { ...adamDefaults, weightDecay: 0.01, ...settings }, true);
  }
}
