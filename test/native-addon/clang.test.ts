/** Native code is C++17 for more than one compiler: what Clang, and so every Mac, would refuse or warn of. */
import { execFile, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { repository } from "../support/repository.js";

interface Compilation {
  readonly directory: string;
  readonly command: string;
  readonly file: string;
}

/** How CMake compiles the CPU backend at its narrowest and widest level, and the addon. */
function compilations(): readonly Compilation[] {
  const database = `${repository}/build/cmake/compile_commands.json`;
  if (!existsSync(database)) return [];
  const all = JSON.parse(readFileSync(database, "utf8")) as readonly Compilation[];
  return all.filter(
    ({ command, file }) =>
      relative(repository, file).startsWith("native/") &&
      / -o CMakeFiles\/(cpu_portable|cpu_avx512|medmamba_objects)\.dir\//.test(command),
  );
}

/** Whether there is Clang; says loudly if there is not. */
function hasClang(): boolean {
  if (spawnSync("clang++", ["--version"]).status === 0) return true;
  console.warn("NOT TESTED: whether Clang reads native code, because clang++ (clang) is not installed.");
  return false;
}

/** The warnings of GCC that Clang has not under their names. */
const withoutGccOnly = (argument: string) => argument !== "-Wno-maybe-uninitialized";

/** What Clang says of a file. */
async function remarks({ directory, command, file }: Compilation): Promise<string> {
  const [, ...given] = command.split(" ").filter(withoutGccOnly);
  const output = given.indexOf("-o");
  const flags = given.filter((argument, at) => argument !== "-c" && at !== output && at !== output + 1);
  const run = promisify(execFile)("clang++", ["-fsyntax-only", ...flags], { cwd: directory });
  return run.then(
    ({ stderr }) => stderr,
    (error: Error & { stderr?: string }) => `${file}: ${error.stderr ?? error.message}`,
  );
}

const all = hasClang() ? compilations() : [];

it.skipIf(all.length === 0)(
  "Clang reads native code without a remark",
  async () => {
    expect(all.length).toBeGreaterThan(60);
    const waiting = [...all];
    const said: string[] = [];
    const worker = async () => {
      for (let next = waiting.pop(); next; next = waiting.pop()) said.push(await remarks(next));
    };
    await Promise.all([worker(), worker()]);
    expect(said.filter(Boolean)).toEqual([]);
  },
  180_000,
);
