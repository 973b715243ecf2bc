/**
 * Reading what PyTorch's torch.save wrote, without Python and without executing anything that the file says.
 *
 * Nothing in a file is believed: the pickle builds values by a table of harmless meanings (globals.ts), a storage's size is
 * compared with its record, a tensor with its storage, and all tensors together with the file, before memory is taken.
 */
import { WeightsError } from "../../errors.js";
import { dtypeBytes } from "../dtypes.js";
import { weightsError } from "../file-errors.js";
import type { StoredTensor } from "../safetensors.js";
import { TorchArchive } from "./archive.js";
import { kindOf, meaningOf, storageOf } from "./globals.js";
import { expectZip } from "./kinds.js";
import { type PickleValue, printable, UnknownGlobal, unpickle } from "./pickle.js";
import { chooseWeights } from "./state-dict.js";
import { elementsOf, type Storage, type StoredView } from "./storages.js";

/** Weights as a file has them. */
export interface PthWeights {
  /** By name, in the order of the file. */
  readonly tensors: Map<string, StoredTensor>;
  /** Keys that lead to them from the outermost dictionary; none where that holds them itself. */
  readonly path: readonly string[];
  /** Other keys of the outermost dictionary under which there are weights as well, such as "ema". */
  readonly alternatives: readonly string[];
}

/** Tensors that share storages may be more together than the file: tied weights, twice; but not without end. */
const mostCopies = 4;
const copiesAlwaysAllowed = 16 * 2 ** 20;

/**
 * Reads a state dict out of a file of torch.save, whether it is the whole of it or lies in a dictionary of a training.
 *
 * @param key  where the weights lie in the outermost dictionary; found out unless given
 * @throws WeightsError naming the file: what it is instead, what in it is refused, or where it is damaged
 */
export async function readPth(path: string, { key }: { key?: string | undefined } = {}): Promise<PthWeights> {
  try {
    await expectZip(path);
    const archive = await TorchArchive.open(path);
    try {
      const root = runProgram(await archive.program());
      const { views, ...found } = chooseWeights(root, key);
      return { ...found, tensors: await readViews(archive, views) };
    } finally {
      archive.close();
    }
  } catch (error) {
    throw refusal(path, error);
  }
}

function runProgram(program: Uint8Array): PickleValue {
  // A storage is named by each tensor that lies in it.
  const storages = new Map<string, Storage>();
  return unpickle(program, {
    global: meaningOf,
    persistent: (id) => {
      const storage = storageOf(id, dtypeBytes);
      const known = storages.get(storage.key) ?? storage;
      if (known.byteLength !== storage.byteLength || known.dtype !== storage.dtype)
        throw new Error(`it describes storage ${printable(storage.key)} in two ways`);
      storages.set(storage.key, known);
      return known;
    },
  });
}

async function readViews(
  archive: TorchArchive,
  views: ReadonlyMap<string, StoredView>,
): Promise<Map<string, StoredTensor>> {
  const most = mostCopies * archive.dataBytes + copiesAlwaysAllowed;
  const byStorage = new Map<Storage, [string, StoredView][]>();
  let total = 0;
  for (const [name, view] of views) {
    const { key, byteLength } = view.storage;
    const present = archive.storageBytes(key);
    if (present !== byteLength) {
      const there = present === undefined ? "is not there" : `has ${present}`;
      throw new Error(
        `${printable(name)} lies in storage ${printable(key)} of ${byteLength} bytes, whose record ${there}`,
      );
    }
    total += view.byteLength;
    if (total > most)
      throw new Error(`its tensors would have more than ${most} bytes, far more than the file holds`);
    const lying = byStorage.get(view.storage) ?? [];
    lying.push([name, view]);
    byStorage.set(view.storage, lying);
  }
  const tensors = new Map<string, StoredTensor | undefined>(
    [...views.keys()].map((name) => [name, undefined]),
  );
  for (const [{ key }, lying] of byStorage) {
    const record = await archive.storage(key);
    for (const [name, view] of lying) {
      const { dtype, shape } = view;
      tensors.set(name, { dtype, shape, data: elementsOf(view, record, archive.bigEndian) });
    }
  }
  return tensors as Map<string, StoredTensor>;
}

function refusal(path: string, error: unknown): WeightsError {
  if (error instanceof WeightsError) return error;
  if (error instanceof Error && "code" in error && "syscall" in error) return weightsError(path, error);
  if (error instanceof UnknownGlobal)
    return new WeightsError(`${path}: ${aboutGlobal(error)}.`, { cause: error });
  const reason = (error instanceof Error ? error.message : String(error)).replace(/\.$/, "");
  return new WeightsError(`${path}: cannot be read as a file of torch.save: ${reason}.`, { cause: error });
}

function aboutGlobal({ global: name, isClass }: UnknownGlobal): string {
  const kind = kindOf(name);
  if (kind !== undefined) return `holds ${kind}`;
  const save = 'torch.save(model.state_dict(), "weights.pth")';
  if (isClass) {
    return `holds an object of the Python class ${printable(name)}, such as a whole model, which needs that class and could run any program: save the weights alone in Python, with ${save}`;
  }
  return `refers to ${printable(name)} of Python, which could do anything and is no part of weights, so the file is refused: if you trust it, load it in Python and save the weights alone, with ${save}`;
}
