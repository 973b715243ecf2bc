/**
 * Reverse-mode differentiation. Each differentiable operation leaves a node that knows its inputs' nodes, the
 * tensors it needs, and how to turn the gradient of its output into gradients of its inputs; `backward` visits the
 * nodes from last to first.
 *
 * The tape holds what it needs through handles of its own, so that a `tidy` around the forward pass frees nothing
 * too early, and lets go of it as it walks: memory falls while backward runs. At the end the intermediate results
 * are disposed too; `keep(tensor)` or `retainGraph` prevents it.
 */
import { ArgumentError, DTypeError, ShapeError } from "../errors.js";
import { expectFlags, expectFunction, inWords, optionsOf } from "../settings/given.js";
import { keep, leaveScopes, leaveToTape, tidy } from "./scope.js";
import { Tensor } from "./tensor.js";

/** Gives the tensor that a gradient should be written to, or undefined if that input needs none. */
export interface GradientTarget<Name extends string> {
  (input: Name): Tensor | undefined;
  /** Whether that input needs a gradient, for backward functions that make the tensor themselves. */
  wants(input: Name): boolean;
}

/** Gradients by input; a tensor may stand for several inputs, and may be `dy` itself. */
export type Gradients<Name extends string> = { readonly [N in Name]?: Tensor | undefined };

type Backward = (dy: Tensor, into: GradientTarget<string>) => Gradients<string>;

/** Where the gradient of an input goes: on to the node that made it, or into a leaf. */
interface Edge {
  readonly node: Node | undefined;
  readonly leaf: Tensor | undefined;
  readonly shape: readonly number[];
}

/** One recorded operation. */
export interface Node {
  readonly id: number;
  readonly operation: string;
  readonly inputs: ReadonlyMap<string, Edge>;
  readonly output: WeakRef<Tensor>;
  /** Handles that only this node has. */
  saved: readonly Tensor[];
  backward: Backward | undefined;
}

let nextId = 0;
let recording = true;
let gradientWatcher: ((leaf: Tensor) => void) | undefined;

/**
 * @internal Runs `body`, in which each `backward` tells `watcher` of a leaf as soon as all that goes into its gradient has been
 * queued. A leaf that no gradient reaches is told of, too.
 */
export function watchGradients<T>(watcher: (leaf: Tensor) => void, body: () => T): T {
  const before = gradientWatcher;
  gradientWatcher = watcher;
  try {
    return body();
  } finally {
    gradientWatcher = before;
  }
}

/** Runs `body` without recording: results have no gradient, and nothing is kept for one. */
export function noGrad<T>(body: () => T): T {
  expectFunction("noGrad", body);
  const before = recording;
  recording = false;
  try {
    return body();
  } finally {
    recording = before;
  }
}

/** Whether an operation on these inputs would be recorded: if not, it need not keep anything for backward. */
export function isRecorded(...inputs: readonly (Tensor | undefined)[]): boolean {
  return anyRecorded(inputs);
}

/** A list, not arguments: `concat` takes more tensors than the stack has room for. */
function anyRecorded(inputs: readonly (Tensor | undefined)[]): boolean {
  return recording && inputs.some((input) => input?.requiresGrad);
}

/**
 * Puts an operation on the tape, if any of its inputs needs a gradient.
 *
 * @param output    its result, which this marks as differentiable
 * @param inputs    the tensors that a gradient may be asked for, by name
 * @param saved     what backward needs; a tensor that is neither input nor output belongs to the tape from here on
 * @param backward  gradients of the inputs from the gradient of the output; `into(name)` gives the tensor to write
 *                  a gradient to, undefined where none is wanted
 * @returns         `output`
 */
export function record<Input extends string, Saved extends string>(
  operation: string,
  output: Tensor,
  inputs: { readonly [N in Input]: Tensor | undefined },
  saved: { readonly [S in Saved]: Tensor | undefined },
  backward: (
    dy: Tensor,
    saved: { readonly [S in Saved]: Tensor },
    into: GradientTarget<Input>,
  ) => Gradients<Input>,
): Tensor {
  const sources = Object.values<Tensor | undefined>(inputs);
  const held: Record<string, Tensor> = {};
  const owned: Tensor[] = [];
  const records = anyRecorded(sources);
  for (const [name, tensor] of Object.entries<Tensor | undefined>(saved)) {
    if (!tensor) continue;
    if (records) {
      // A parameter outlives its graph and needs no handle of its own; everything else may be disposed before backward.
      const parameter = tensor.kept && !tensor.node;
      held[name] = parameter ? tensor : leaveToTape(tensor.detach());
      if (!parameter) owned.push(held[name]);
    }
    if (tensor !== output && !sources.includes(tensor)) tensor.dispose();
  }
  if (!records) return output;

  const edges = new Map<string, Edge>();
  for (const [name, input] of Object.entries<Tensor | undefined>(inputs)) {
    if (!input?.requiresGrad) continue;
    edges.set(name, { node: input.node, leaf: input.node ? undefined : input, shape: input.shape });
  }
  output.requiresGrad = true;
  output.node = {
    id: nextId++,
    operation,
    inputs: edges,
    output: new WeakRef(output),
    saved: owned,
    backward: (dy, into) => backward(dy, held as { [S in Saved]: Tensor }, into),
  };
  return output;
}

/** Options of `Tensor.backward`. */
export interface BackwardOptions {
  /** Gradient of the final result with respect to this tensor; default 1, for a tensor of one element. */
  gradient?: Tensor;
  /** Keep the graph and its intermediate results, so that backward can run again; default false. */
  retainGraph?: boolean;
}

declare module "./tensor.js" {
  interface Tensor {
    /**
     * Computes the gradient of this scalar with respect to every leaf with `requiresGrad`, adding to their `grad`.
     * Intermediate results are disposed and the graph is freed, unless `retainGraph` is set.
     *
     * @throws ArgumentError if there is nothing to differentiate, or no `gradient` was given for a non-scalar
     */
    backward(options?: BackwardOptions): void;
  }
}

Tensor.prototype.backward = function (this: Tensor, options: BackwardOptions = {}) {
  const { gradient, retainGraph = false } = optionsOf("backward", options, {
    gradient: true,
    retainGraph: true,
  });
  expectFlags("backward", { retainGraph });
  if (!this.node) {
    throw new ArgumentError(
      this.requiresGrad
        ? "backward: this tensor is a leaf, or its graph was freed by an earlier backward() (see retainGraph)."
        : "backward: this tensor does not depend on any tensor with requiresGrad.",
    );
  }
  if (!gradient && this.size !== 1) {
    throw new ArgumentError(
      `backward: ${this.describe()} is not a scalar; pass { gradient } of the same shape.`,
    );
  }
  if (gradient !== undefined) expectGradient(gradient, this);
  const last = this.node;
  noGrad(() => tidy(() => propagate(this, last, gradient, retainGraph)));
};

function expectGradient(gradient: Tensor, root: Tensor): void {
  if (!(gradient instanceof Tensor))
    throw new ArgumentError(`backward: the gradient has to be a tensor, but is ${inWords(gradient)}.`);
  if (gradient.size !== root.size) {
    throw new ArgumentError(
      `backward: the gradient is ${gradient.describe()}, the tensor ${root.describe()}.`,
    );
  }
  if (gradient.dtype !== root.dtype)
    throw new DTypeError(`backward: the gradient is ${gradient.dtype}, the tensor ${root.dtype}.`);
}

function propagate(root: Tensor, last: Node, gradient: Tensor | undefined, retainGraph: boolean): void {
  const order = reachable(last);
  const uses = gradientWatcher && usesOfLeaves(order);
  const pending = new Map<Node, Tensor>([[last, gradient ? gradient.detach() : ones(root)]]);
  for (const node of order) {
    const dy = pending.get(node);
    if (dy) {
      if (!node.backward)
        throw new ArgumentError(`backward: the graph behind "${node.operation}" was freed before.`);
      tidy(() => visit(node, dy, pending));
      pending.delete(node);
      dy.dispose();
    }
    if (uses) tellOfLeaves(node, uses);
    if (!retainGraph) release(node);
  }
  if (retainGraph) return;
  root.node = undefined;
  for (const node of order) {
    const output = node.output.deref();
    if (output && output !== root) output.disposeByTape();
  }
}

/** Runs one node and hands its inputs' gradients on; returns those, for the scope around it to keep. */
function visit(node: Node, dy: Tensor, pending: Map<Node, Tensor>): Tensor[] {
  const written = new Map<Tensor, Tensor>();
  const target = (name: string): Tensor | undefined => {
    const edge = node.inputs.get(name);
    if (!edge) return undefined;
    const { leaf } = edge;
    if (!leaf?.gradTarget || leaf.grad || written.has(leaf))
      return Tensor.empty(edge.shape, { device: dy.device });
    const slot = sliceFor(leaf, leaf.gradTarget);
    written.set(leaf, slot);
    return slot;
  };
  const wants = (name: string): boolean => node.inputs.has(name);
  const gradients = node.backward?.(dy, Object.assign(target, { wants })) ?? {};
  const passedOn: Tensor[] = [];
  for (const [name, { leaf, node: source }] of node.inputs) {
    const gradient = gradients[name];
    if (!gradient) continue;
    if (leaf) {
      collect(leaf, gradient, written.get(leaf) === gradient);
    } else if (source) {
      const before = pending.get(source);
      const shared = gradient === dy || passedOn.includes(gradient);
      const total = before ? sum(before, gradient) : shared ? gradient.detach() : gradient;
      before?.dispose();
      pending.set(source, total);
      passedOn.push(total);
    }
  }
  return passedOn;
}

/** Adds a gradient to a leaf; `inPlace` if it was written to the leaf's target already. */
function collect(leaf: Tensor, gradient: Tensor, inPlace: boolean): void {
  if (leaf.grad) {
    // Programs may set `grad` themselves.
    if (leaf.grad.size !== leaf.size || leaf.grad.dtype !== "float32")
      throw new ShapeError(`backward: grad is ${leaf.grad.describe()}, but its tensor ${leaf.describe()}.`);
    leaf.device.call("accumulate", { count: leaf.size, scale: 1, x: gradient, y: leaf.grad });
  } else if (inPlace) {
    leaf.grad = leaveScopes(gradient);
  } else {
    leaf.grad = leaf.gradTarget ? sliceFor(leaf, leaf.gradTarget) : leaveScopes(Tensor.like(leaf));
    leaf.grad.copyFrom(gradient);
  }
}

/** The handle on a gradient's place in its optimiser's buffer: made once, unless a program has disposed it. */
function sliceFor(leaf: Tensor, target: Tensor): Tensor {
  if (!leaf.gradSlice || leaf.gradSlice.disposed) leaf.gradSlice = keep(target.detach());
  return leaf.gradSlice;
}

/** The nodes that `last` depends on, itself included, last first. */
function reachable(last: Node): Node[] {
  const found = new Set([last]);
  for (const node of found) for (const edge of node.inputs.values()) if (edge.node) found.add(edge.node);
  return [...found].sort((a, b) => b.id - a.id);
}

/** How many edges lead to each leaf. */
function usesOfLeaves(order: readonly Node[]): Map<Tensor, number> {
  const uses = new Map<Tensor, number>();
  for (const { inputs } of order)
    for (const { leaf } of inputs.values()) if (leaf) uses.set(leaf, (uses.get(leaf) ?? 0) + 1);
  return uses;
}

/** Counts a visited node's edges off, and tells of the leaves to which no other leads. */
function tellOfLeaves({ inputs }: Node, uses: Map<Tensor, number>): void {
  for (const { leaf } of inputs.values()) {
    if (!leaf) continue;
    const left = (uses.get(leaf) ?? 1) - 1;
    uses.set(leaf, left);
    if (left === 0) gradientWatcher?.(leaf);
  }
}

function release(node: Node): void {
  for (const tensor of node.saved) tensor.dispose();
  node.saved = [];
  node.backward = undefined;
}

function ones(like: Tensor): Tensor {
  const y = Tensor.empty(like.shape, { device: like.device });
  like.device.call("fill", { count: y.size, value: 1, y });
  return y;
}

function sum(a: Tensor, b: Tensor): Tensor {
  const y = a.clone();
  y.device.call("accumulate", { count: y.size, scale: 1, x: b, y });
  return y;
}
