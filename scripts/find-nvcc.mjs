// The CUDA compilers of this machine, and what the CUDA library is built for with each.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

/** The oldest version of the toolkit that compiles the kernels. */
const oldest = [11, 8];

/**
 * A compiler, and the GPUs that npm's library has code for from one of its major version; code that is virtual serves all
 * newer ones.
 *
 * @typedef {{ path: string, version: string, major: number, architectures: string }} Nvcc
 */

const architecturesOf = (major) =>
  major >= 13
    ? "75-real;80-real;86-real;89-real;90-real;100-real;120-real;100-virtual"
    : "75-real;80-real;86-real;89-real;90-real;90-virtual";

/** What makes a library for drivers of CUDA 13 (580 and newer), and what makes one for older drivers. */
export const toolkits = {
  newest: "the CUDA toolkit 13.0 or newer",
  older: "the CUDA toolkit 11.8 (Debian: nvidia-cuda-toolkit), or one of 12",
};

/**
 * The compilers that CUDACXX names, or that lie on the PATH or in a toolkit's usual folder: one of version 13 or newer, whose
 * library is for drivers of CUDA 13, and the oldest of 11.8 or newer, whose library is for older drivers as well. Either
 * may be missing.
 *
 * @returns {{ newest?: Nvcc, older?: Nvcc }}
 */
export function findNvccs() {
  const found = candidates()
    .filter((file) => existsSync(file))
    .map(describe)
    .filter((nvcc) => nvcc !== undefined);
  const older = found.filter(({ major }) => major < 13);
  const named = older.find(({ path }) => path === process.env.CUDACXX);
  return {
    newest: found.find(({ major }) => major >= 13),
    older: named ?? older.sort((a, b) => a.major - b.major)[0],
  };
}

function candidates() {
  const { PATH = "", CUDACXX, CUDA_HOME, CUDA_PATH } = process.env;
  const places = PATH.split(delimiter);
  for (const toolkit of [CUDA_HOME, CUDA_PATH, "/usr/local/cuda", ...installed("/usr/local")])
    if (toolkit) places.push(join(toolkit, "bin"));
  return [...new Set([CUDACXX, ...places.map((place) => join(place, "nvcc"))])].filter((file) => file);
}

/** The environment to run a compiler in: Debian's looks on the PATH for its ptxas, where another toolkit's may come first. */
export function environmentOf({ path }) {
  return { ...process.env, PATH: `${dirname(path)}${delimiter}${process.env.PATH ?? ""}` };
}

/** Folders such as /usr/local/cuda-12.4. */
function installed(directory) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => /^cuda-[\d.]+$/.test(name))
    .map((name) => join(directory, name));
}

/** Undefined if it is older than what compiles the kernels, or no compiler. */
function describe(path) {
  const { stdout = "" } = spawnSync(path, ["--version"], { encoding: "utf8" });
  const [, version] = /release (\d+\.\d+)/.exec(stdout ?? "") ?? [];
  if (!version) return undefined;
  const [major, minor] = version.split(".").map(Number);
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) return undefined;
  return { path, version, major, architectures: architecturesOf(major) };
}
