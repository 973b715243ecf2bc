/**
 * The namespace `safetensors`: files of tensors, loaded to a device and saved from it.
 *
 * @module
 */

import { expectNamed, optionsOf } from "../settings/given.js";
import { type Path, pathOf } from "../settings/paths.js";
import type { DeviceLike } from "../tensor/devices.js";
import { allOrNothing } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { expectTensors, toStored, toTensor } from "./conversion.js";
import { type HeaderLimit, readTensors, writeTensors } from "./safetensors.js";

export { type HeaderLimit, readHeader, type SafetensorsHeader, type TensorEntry } from "./safetensors.js";

/**
 * Loads all tensors of a file. float32, bfloat16, int32, int64 and uint8 keep their dtype; float16 and float64 become
 * float32, bool and int8 ... become int32.
 *
 * @param path            a .safetensors file, by a path or a `file:` URL
 * @param options.device  default "cpu"
 * @returns               tensors by name, on an object without prototype
 * @throws WeightsError naming the file, if it is missing, truncated, malformed or holds a dtype without counterpart
 */
export async function load(
  path: Path,
  options: { device?: DeviceLike } & HeaderLimit = {},
): Promise<Record<string, Tensor>> {
  const names = { device: true, maxHeaderBytes: true } as const;
  const { device, maxHeaderBytes } = optionsOf("safetensors.load", options, names);
  const name = pathOf("safetensors.load", path);
  const read = await readTensors(name, { maxHeaderBytes });
  return allOrNothing(() => {
    const loaded: Record<string, Tensor> = Object.create(null);
    for (const [key, stored] of read) loaded[key] = toTensor(name, key, stored, device);
    return loaded;
  });
}

/**
 * Saves tensors; the file appears under its name only when it is complete.
 *
 * @param tensors   by name, such as a state dict
 * @param metadata  strings by key; default none
 * @throws WeightsError naming the file, if it cannot be written; an existing file is left as it was
 */
export async function save(
  path: Path,
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  expectTensors("safetensors.save", tensors);
  expectNamed("safetensors.save", "metadata", metadata);
  await writeTensors(path, await toStored(tensors), metadata);
}
