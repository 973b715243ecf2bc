/**
 * Memory scopes. A scope owns the tensors made inside it and disposes at its end those that are not returned.
 * The stack of scopes belongs to this module, and so to one environment: workers do not mix.
 */
import { types } from "node:util";
import { ArgumentError } from "../errors.js";
import { expectFunction, inWords } from "../settings/given.js";
import { isPlainObject, isPromise } from "../settings/realms.js";

/** What a scope can own. */
export interface Disposable {
  /** Gives the memory back. */
  dispose(): void;
  /** Set by `keep`: neither a scope nor the tape disposes it. */
  kept: boolean;
}

interface Scope {
  /** Disposed at the end, unless returned. */
  readonly made: Set<Disposable>;
  /** What the tape holds for backward: disposed only when the body throws, since nobody can ask for backward then. */
  readonly held: Set<Disposable>;
}

const scopes: Scope[] = [];
/** What was made inside the `allOrNothing` that runs, kept or not. */
let constructed: Set<Disposable> | undefined;

/** @internal Called for every tensor that is made. */
export function enterScope(tensor: Disposable): void {
  scopes.at(-1)?.made.add(tensor);
  constructed?.add(tensor);
}

/**
 * @internal Runs `body`, which makes tensors that belong together, such as a model's. If it throws, all that it made is
 * disposed, also what it has said to `keep`: nobody has a half-made model to dispose it by.
 */
export function allOrNothing<T>(body: () => T): T {
  const outer = constructed;
  const own = new Set<Disposable>();
  constructed = own;
  try {
    const result = body();
    if (outer) for (const tensor of own) outer.add(tensor);
    return result;
  } catch (error) {
    for (const tensor of own) tensor.dispose();
    throw error;
  } finally {
    constructed = outer;
  }
}

/** @internal Takes a tensor out of the scopes that would dispose it: its maker answers for it from here on. */
export function leaveScopes<T extends Disposable>(tensor: T): T {
  for (const { made } of scopes) made.delete(tensor);
  return tensor;
}

/** @internal Takes a tensor out of its scopes for the tape, which answers for it unless a scope around it fails. */
export function leaveToTape<T extends Disposable>(tensor: T): T {
  leaveScopes(tensor);
  scopes.at(-1)?.held.add(tensor);
  return tensor;
}

/** Protects a tensor from `tidy` and from the tape: it lives until it is disposed by name. */
export function keep<T extends Disposable>(tensor: T): T {
  if (typeof (tensor as Partial<Disposable> | null | undefined)?.dispose !== "function")
    throw new ArgumentError(`keep: a tensor is needed, not ${inWords(tensor)}.`);
  leaveScopes(tensor);
  tensor.kept = true;
  return tensor;
}

/**
 * Runs `body` and disposes every tensor made inside it that is not part of its result: a tensor, or arrays, maps
 * and plain objects of them. When `body` throws, all are disposed, and what was kept for backward with them. Results
 * belong to the enclosing `tidy`, if any.
 *
 * @throws ArgumentError if `body` returns a promise: a scope cannot span an `await`
 */
export function tidy<T>(body: () => T): T {
  expectFunction("tidy", body);
  const scope: Scope = { made: new Set(), held: new Set() };
  scopes.push(scope);
  let result: T;
  try {
    result = body();
    if (isPromise(result)) {
      Promise.resolve(result).catch(() => {});
      throw new ArgumentError(
        "tidy: the function returned a promise; await outside of tidy, compute inside.",
      );
    }
  } catch (error) {
    scopes.pop();
    for (const tensor of [...scope.made, ...scope.held]) tensor.dispose();
    throw error;
  }
  scopes.pop();
  const outer = scopes.at(-1);
  if (outer) for (const tensor of scope.held) outer.held.add(tensor);
  const kept = new Set<unknown>();
  collect(result, kept);
  for (const tensor of scope.made) {
    if (!kept.has(tensor)) tensor.dispose();
    else if (!tensor.kept) enterScope(tensor);
  }
  return result;
}

/** @internal Adds `value`, and all that its arrays, maps and plain objects hold, to `found`. */
export function collect(value: unknown, found: Set<unknown>): void {
  // A list, not recursion: results may be nested deeper than the stack is.
  const left: unknown[] = [value];
  while (left.length > 0) {
    const next = left.pop();
    if (typeof next !== "object" || next === null || found.has(next)) continue;
    found.add(next);
    if (Array.isArray(next) || types.isSet(next)) for (const item of next) left.push(item);
    else if (types.isMap(next)) for (const item of next.values()) left.push(item);
    else if (isPlainObject(next)) for (const item of Object.values(next)) left.push(item);
  }
}
