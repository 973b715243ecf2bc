/**
 * A network, or a part of one: parameters, buffers and children by name. Names and order are PyTorch's, so that
 * `stateDict()` has the keys of published checkpoints.
 */
import { ArgumentError, DTypeError, StateDictError, type StateDictReport } from "../errors.js";
import { expectTensor } from "../ops/check.js";
import { expectFlags, expectNamed, expectText, inWords, optionsOf } from "../settings/given.js";
import { type DeviceLike, resolveDevice } from "../tensor/devices.js";
import { keep, tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

/** Tensors by dotted name. */
export type StateDict = Record<string, Tensor>;

/**
 * The base of every network and layer. Extend it: register tensors with `parameter` and `buffer` and parts with `child`, then
 * write `forward`.
 */
export abstract class Module {
  /** Whether normalisation uses the batch's statistics and dropout drops; see `train` and `eval`. */
  training = true;
  readonly #parameters = new Map<string, Tensor>();
  readonly #buffers = new Map<string, Tensor>();
  readonly #children = new Map<string, Module>();

  /** The module's function. Layers take one tensor and say its shape; see each of them. */
  abstract forward(...inputs: never[]): Tensor;

  /** Registers a trainable tensor; it outlives every `tidy`. */
  protected parameter(name: string, value: Tensor): Tensor {
    expectOwn("parameter", name, value);
    if (value.dtype !== "float32")
      throw new DTypeError(`parameter: "${name}" is ${value.dtype}, but float32 alone is trained.`);
    value.requiresGrad = true;
    this.#parameters.set(name, keep(value));
    return value;
  }

  /** Registers a tensor that is saved with the weights but not trained. */
  protected buffer(name: string, value: Tensor): Tensor {
    expectOwn("buffer", name, value);
    this.#buffers.set(name, keep(value));
    return value;
  }

  /** Registers a part. */
  protected child<M extends Module>(name: string, module: M): M {
    expectText("child", "its name", name);
    if (!(module instanceof Module))
      throw new ArgumentError(`child: "${name}" has to be a module, but is ${inWords(module)}.`);
    this.#children.set(name, module);
    return module;
  }

  /** All trainable tensors, in a stable order. */
  *parameters(): Generator<Tensor> {
    for (const [, parameter] of this.namedParameters()) yield parameter;
  }

  /** All trainable tensors with their dotted names: a module's own first, then its children's. */
  *namedParameters(prefix = ""): Generator<[name: string, parameter: Tensor]> {
    for (const [name, parameter] of this.#parameters) yield [prefix + name, parameter];
    for (const [name, module] of this.#children) yield* module.namedParameters(`${prefix}${name}.`);
  }

  /** All buffers with their dotted names. */
  *namedBuffers(prefix = ""): Generator<[name: string, buffer: Tensor]> {
    for (const [name, buffer] of this.#buffers) yield [prefix + name, buffer];
    for (const [name, module] of this.#children) yield* module.namedBuffers(`${prefix}${name}.`);
  }

  /** Every module of the tree, this one first. */
  *modules(): Generator<Module> {
    yield this;
    for (const module of this.#children.values()) yield* module.modules();
  }

  /** Number of trainable values. */
  get parameterCount(): number {
    let count = 0;
    for (const parameter of this.parameters()) count += parameter.size;
    return count;
  }

  /** Parameters and buffers by name: the tensors themselves, not copies. */
  stateDict(): StateDict {
    const state: StateDict = Object.create(null);
    for (const [name, tensor] of this.namedParameters()) state[name] = tensor;
    for (const [name, tensor] of this.namedBuffers()) state[name] = tensor;
    return state;
  }

  /**
   * Copies the tensors of a state dict into parameters and buffers, converting dtypes.
   *
   * @param options.strict  default true: throw, having changed nothing, unless names and shapes agree exactly; otherwise
   *                        take what fits and report the rest
   * @throws StateDictError
   */
  loadStateDict(state: Readonly<StateDict>, options: { strict?: boolean } = {}): StateDictReport {
    const { strict = true } = optionsOf("loadStateDict", options, { strict: true });
    expectFlags("loadStateDict", { strict });
    expectNamed("loadStateDict", "the state dict", state);
    for (const [name, tensor] of Object.entries(state)) expectTensor("loadStateDict", name, tensor);
    const own = this.stateDict();
    const missing = Object.keys(own).filter((name) => !(name in state));
    const unexpected = Object.keys(state).filter((name) => !(name in own));
    const mismatched: string[] = [];
    const fitting: [Tensor, Tensor][] = [];
    for (const [name, target] of Object.entries(own)) {
      const source = state[name];
      if (!source) continue;
      const [wanted, given] = [target.shape.join(", "), source.shape.join(", ")];
      if (wanted === given) fitting.push([target, source]);
      else mismatched.push(`${name}: (${given}) in the state dict, (${wanted}) in the model`);
    }
    const report = { missing, unexpected, mismatched };
    if (strict && missing.length + unexpected.length + mismatched.length > 0)
      throw new StateDictError(report);
    for (const [target, source] of fitting) target.copyFrom(source);
    return report;
  }

  /** Switches this module and its parts to training (or evaluation) mode. */
  train(mode = true): this {
    expectFlags("train", { mode });
    for (const module of this.modules()) module.training = mode;
    return this;
  }

  /** Switches to evaluation: running statistics, no dropout. */
  eval(): this {
    return this.train(false);
  }

  /**
   * Moves all parameters and buffers to another device: the same tensors, elsewhere. Their gradients are forgotten, and
   * the copies are queued, so that the call returns at once. What an optimiser remembers does not move: make optimisers
   * after moving. A graph that was recorded before cannot be differentiated any more.
   *
   * @throws DeviceError if there is no such device
   * @throws ArgumentError if an optimiser holds a parameter; nothing has moved then, nor where memory runs out
   */
  to(device: DeviceLike): this {
    const target = resolveDevice(device);
    const moving = Object.entries(this.stateDict()).filter(([, tensor]) => tensor.device !== target);
    const held = moving.find(([, tensor]) => tensor.gradTarget);
    if (held) {
      throw new ArgumentError(
        `to: "${held[0]}" belongs to an optimiser, which stays on ${held[1].device}: dispose it, move, and make it anew.`,
      );
    }
    // All copies are there before the first tensor changes; the scope disposes them if one of them fails.
    tidy(() => {
      const copies = moving.map(([, tensor]) => tensor.copyTo(target));
      for (const [i, [, tensor]] of moving.entries()) {
        tensor.grad?.dispose();
        tensor.grad = null;
        tensor.become(copies[i] as Tensor);
      }
    });
    return this;
  }

  /** Gives the memory of all parameters and buffers back. */
  dispose(): void {
    for (const tensor of Object.values(this.stateDict())) tensor.dispose();
  }

  /** `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

function expectOwn(kind: "parameter" | "buffer", name: string, value: Tensor): void {
  expectText(kind, "its name", name);
  expectTensor(kind, `"${name}"`, value);
}
