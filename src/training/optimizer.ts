/**
 * Optimisers. One optimiser owns one flat buffer of gradients: each parameter's `grad` is a slice of it, written in
 * place by backward, and its state (momentum, moments) lies in flat buffers of the same layout. A step is one call
 * to the device for all parameters of a group.
 */
import { ArgumentError, ShapeError } from "../errors.js";
import { expectTensor } from "../ops/check.js";
import { adam, clippedNorm, sgd, type Update } from "../ops/updates.js";
import { expectCounts, expectNamed, inWords } from "../settings/given.js";
import { complete, type Rows, type Setting } from "../settings/table.js";
import { zeros } from "../tensor/creation.js";
import type { Device } from "../tensor/device.js";
import { keep } from "../tensor/scope.js";
import { Tensor } from "../tensor/tensor.js";
import { type AdamSettings, adamRows, adamWRows, type SGDSettings, sgdRows } from "./optimizer-settings.js";

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

const groupNames = { parameters: true, settings: true } as const;

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

/** A parameter's place among the gradients. */
export interface GradientSlice {
  readonly parameter: Tensor;
  readonly begin: number;
  readonly end: number;
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
  readonly #operation: string;
  readonly #rows: Rows;
  readonly #parameters: readonly Tensor[];
  readonly #offsets: readonly number[];
  readonly #flatSize: number;
  readonly #device: Device;
  readonly #state: Record<string, Tensor> = {};
  /** Each parameter's part of the state, by name. */
  readonly #slices: Record<string, readonly Tensor[]> = {};
  #gradientScale: Tensor | undefined;

  /**
   * @param operation   name of the optimiser, for messages
   * @param rows        its settings
   * @param stateNames  names of the flat buffers that `update` uses
   * @throws ArgumentError if there are no parameters, one is given twice or is not a trainable float32 leaf, or for a setting
   *   that cannot be or is none
   * @hidden
   */
  protected constructor(
    operation: string,
    parameters: Iterable<Tensor> | readonly ParameterGroup<Settings>[],
    rows: Rows,
    settings: Partial<Settings>,
    stateNames: (groups: readonly Group<Settings>[]) => readonly string[],
  ) {
    this.#operation = operation;
    this.#rows = rows;
    // By itself, too: a group may override what cannot be.
    complete(operation, rows, { lr: 0, ...expectNamed(operation, "the settings", settings) });
    this.groups = groupsOf(operation, parameters).map(({ parameters, settings: own = {} }) => ({
      parameters: listOf<Tensor>(operation, parameters),
      settings: complete(operation, rows, {
        ...settings,
        ...expectNamed(operation, "a group's settings", own),
      }) as unknown as Settings,
    }));
    this.#parameters = this.groups.flatMap((group) => group.parameters);
    const [first] = this.#parameters;
    if (!first) throw new ArgumentError(`${operation}: there are no parameters to optimise.`);
    if (new Set(this.#parameters).size !== this.#parameters.length) {
      throw new ArgumentError(`${operation}: a parameter was given twice.`);
    }
    for (const [i, parameter] of this.#parameters.entries())
      expectTensor(operation, `parameter ${i}`, parameter);
    this.#device = first.device;
    let end = 0;
    this.#offsets = this.#parameters.map((parameter) => {
      const { requiresGrad, node, device, dtype } = parameter;
      if (!requiresGrad || node || device !== this.#device || dtype !== "float32") {
        throw new ArgumentError(`${operation}: ${parameter} is not a trainable leaf on ${this.#device}.`);
      }
      const offset = end;
      end += Math.ceil(parameter.size / alignment) * alignment;
      return offset;
    });
    this.#flatSize = end;
    this.gradients = keep(zeros([end], { device: this.#device }));
    for (const name of stateNames(this.groups)) {
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

  /** Sets it for all groups. @throws ArgumentError unless it is a finite number of 0 or more */
  set lr(value: number) {
    const { kind } = this.#rows.lr as Setting<unknown>;
    if (!kind.holds(value, {}))
      throw new ArgumentError(`${this.#operation}: lr ${inWords(value)} must be ${kind.range}.`);
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
   * Makes `gradients` say what the parameters do, so that it can be added up over processes: the slice of a parameter without
   * gradient becomes 0, and a gradient that lies elsewhere moves into its slice. All processes have to have gradients of the same
   * parameters.
   *
   * @returns  `gradients`
   */
  collectGradients(): Tensor {
    this.collect(this.#parameters);
    return this.gradients;
  }

  /** @internal `collectGradients`, of some. */
  collect(parameters: readonly Tensor[]): void {
    for (const parameter of parameters) {
      const { grad, gradSlice, gradTarget } = parameter;
      if (!gradTarget || (grad && grad === gradSlice)) continue;
      if (!grad) {
        const nothing = zeros(parameter.shape, { device: this.#device });
        gradTarget.copyFrom(nothing);
        nothing.dispose();
        continue;
      }
      gradTarget.copyFrom(grad);
      grad.dispose();
      parameter.gradSlice ??= keep(gradTarget.detach());
      parameter.grad = parameter.gradSlice;
    }
  }

  /** @internal Where each group's gradients lie in `gradients`, in elements: a slice ends where the next begins. */
  get layout(): readonly (readonly GradientSlice[])[] {
    let next = 0;
    return this.groups.map(({ parameters }) =>
      parameters.map((parameter) => {
        const begin = this.#offsets[next++] as number;
        return { parameter, begin, end: this.#offsets[next] ?? this.#flatSize };
      }),
    );
  }

  /**
   * Lets the next `step` scale all gradients so that their joint Euclidean norm is at most `maxNorm`.
   *
   * @returns  the norm before clipping, a scalar tensor
   */
  clipGradNorm(maxNorm: number): Tensor {
    if (typeof maxNorm !== "number" || !(maxNorm > 0))
      throw new ArgumentError(`clipGradNorm: maxNorm ${inWords(maxNorm)} is not positive.`);
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
  loadStateDict(state: OptimizerState): void {
    const names = { step: true, tensors: true } as const;
    const { step, tensors } = expectNamed("loadStateDict", "the state", state, names);
    expectCounts("loadStateDict", { step }, 0);
    expectNamed("loadStateDict", "tensors", tensors);
    for (const name of Object.keys(this.#state)) {
      if (tensors[name] !== undefined) expectTensor("loadStateDict", name, tensors[name]);
      if (tensors[name]?.size !== this.#flatSize) {
        throw new ShapeError(
          `${this.#operation}: "${name}" of the saved state does not belong to these parameters.`,
        );
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

/** Stochastic gradient descent with momentum, by PyTorch's formulas. */
export class SGD extends Optimizer<SGDSettings> {
  constructor(
    parameters: Iterable<Tensor> | readonly ParameterGroup<SGDSettings>[],
    settings: Partial<SGDSettings> & { lr: number },
  ) {
    const keepsMomentum = (groups: readonly Group<SGDSettings>[]) =>
      groups.some(({ settings }) => settings.momentum > 0);
    super("SGD", parameters, sgdRows, settings, (groups) =>
      keepsMomentum(groups) ? ["momentum_buffers"] : [],
    );
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

class AdamFamily extends Optimizer<AdamSettings> {
  readonly #decoupled: boolean;

  constructor(
    parameters: Iterable<Tensor> | readonly ParameterGroup<AdamSettings>[],
    settings: Partial<AdamSettings>,
    decoupled: boolean,
  ) {
    const [operation, rows] = decoupled ? ["AdamW", adamWRows] : ["Adam", adamRows];
    super(operation, parameters, rows, settings, () => ["first_moments", "second_moments"]);
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

/** Adam (https://arxiv.org/abs/1412.6980), by PyTorch's formulas. */
export class Adam extends AdamFamily {
  constructor(
    parameters: Iterable<Tensor> | readonly ParameterGroup<AdamSettings>[],
    settings: Partial<AdamSettings> = {},
  ) {
    super(parameters, settings, false);
  }
}

/** Adam with decoupled weight decay (https://arxiv.org/abs/1711.05101), by PyTorch's formulas. */
export class AdamW extends AdamFamily {
  constructor(
    parameters: Iterable<Tensor> | readonly ParameterGroup<AdamSettings>[],
    settings: Partial<AdamSettings> = {},
  ) {
    super(parameters, settings, true);
  }
}

/** Parameters as one group, or the groups that were given. */
function groupsOf<Settings>(
  operation: string,
  parameters: Iterable<Tensor> | readonly ParameterGroup<Settings>[],
): readonly ParameterGroup<Settings>[] {
  const given = listOf<Tensor | ParameterGroup<Settings>>(operation, parameters);
  const tensors = given.filter((item) => item instanceof Tensor);
  if (tensors.length === given.length) return [{ parameters: tensors }];
  if (tensors.length > 0)
    throw new ArgumentError(`${operation}: parameters are given alone or in groups, not both.`);
  return (given as ParameterGroup<Settings>[]).map((group) =>
    expectNamed(operation, "a group of parameters", group, groupNames),
  );
}

function listOf<T>(operation: string, parameters: Iterable<T>): T[] {
  if (typeof (parameters as Iterable<T> | null | undefined)?.[Symbol.iterator] !== "function")
    throw new ArgumentError(`${operation}: parameters have to be a list, but are ${inWords(parameters)}.`);
  const list: T[] = [];
  for (const item of parameters) {
    if (typeof item !== "object" || item === null)
      throw new ArgumentError(`${operation}: ${inWords(item)} is no parameter.`);
    list.push(item);
  }
  return list;
}
