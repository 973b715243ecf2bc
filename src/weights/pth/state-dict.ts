/** Where in a file the weights are: the whole of it, or somewhere in what a training has kept beside them. */
import { isTensor } from "./globals.js";
import { type PickleValue, printable } from "./pickle.js";
import type { StoredView } from "./storages.js";

/** Keys under which trainings keep weights, in the order in which they are taken; averaged ones are asked for by `key`. */
const customary = [
  ..."state_dict model_state_dict model_state model net network weights params module".split(" "),
  ..."model_ema state_dict_ema ema_state_dict model_ema_state_dict ema ema_model".split(" "),
];

/** A dictionary in a dictionary in a dictionary: `ema: { module: ... }`. */
const deepest = 3;

const longestName = 500;

type Views = Map<string, StoredView>;

interface Chosen {
  readonly views: Views;
  readonly path: readonly string[];
  readonly alternatives: readonly string[];
}

/**
 * The tensors by name, from what a file's program has built.
 *
 * @param key  of the outermost dictionary; by custom unless given
 * @throws Error saying in a sentence without its end what there is in their place
 */
export function chooseWeights(root: PickleValue, key?: string): Chosen {
  if (isTensor(root)) throw new Error("it holds one tensor and not the weights of a network by their names");
  if (!(root instanceof Map)) throw new Error("it holds no dictionary of weights by their names");
  if (key !== undefined) {
    const found = root.has(key) ? search(root.get(key), [key]) : undefined;
    if (!found) throw new Error(`there are no weights under ${printable(key)}; it holds ${keysOf(root)}`);
    return { ...found, alternatives: [] };
  }
  const [first, ...others] = customary.flatMap((name) => search(root.get(name), [name]) ?? []);
  if (first) return { ...first, alternatives: others.map(({ path }) => path[0] as string) };
  const whole = viewsOf(root);
  if (!whole) throw new Error(`it holds no weights where trainings keep them: there is ${keysOf(root)}`);
  return { views: whole, path: [], alternatives: [] };
}

function search(
  value: PickleValue | undefined,
  path: readonly string[],
): Omit<Chosen, "alternatives"> | undefined {
  if (!(value instanceof Map)) return undefined;
  const views = viewsOf(value);
  if (views) return { views, path };
  if (path.length >= deepest) return undefined;
  for (const name of customary) {
    const found = search(value.get(name), [...path, name]);
    if (found) return found;
  }
  return undefined;
}

/** The tensors of a dictionary that has some under names; what else is in it, such as a counter, is no weight. */
function viewsOf(dictionary: Map<PickleValue, PickleValue>): Views | undefined {
  const views: Views = new Map();
  for (const [name, value] of dictionary) {
    if (typeof name !== "string" || !isTensor(value)) continue;
    // Names end up on terminals and in files.
    if (name.length > longestName || /\p{C}/u.test(name))
      throw new Error(`it has a tensor by the name ${printable(name)}, which is none of a network's`);
    views.set(name, value);
  }
  return views.size > 0 ? views : undefined;
}

function keysOf(dictionary: Map<PickleValue, PickleValue>): string {
  const names = [...dictionary.keys()]
    .slice(0, 8)
    .map((name) => (typeof name === "string" ? printable(name) : "..."));
  return names.length === 0 ? "nothing in it" : names.join(", ") + (dictionary.size > 8 ? ", ..." : "");
}
