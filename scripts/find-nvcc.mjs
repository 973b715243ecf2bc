// Where the CUDA compiler is.
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The path of nvcc, which CUDACXX names, or which lies on the PATH or in a toolkit's usual folder; or undefined. */
export function findNvcc() {
  const places = (process.env.PATH ?? "").split(delimiter);
  for (const toolkit of [process.env.CUDA_HOME, process.env.CUDA_PATH, "/usr/local/cuda"])
    if (toolkit) places.push(join(toolkit, "bin"));
  const candidates = [process.env.CUDACXX, ...places.map((place) => join(place, "nvcc"))];
  return candidates.find((file) => file && existsSync(file));
}
