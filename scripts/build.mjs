// Builds what has changed: the addon through cmake-js and CMake, TypeScript through tsc.
//
//   node scripts/build.mjs [native] [typescript] [tests]
//
// Without words: native and typescript. `tests` adds the native test programs to the addon.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const cmakeDirectory = join(root, "build", "cmake"); // beside build/Release and what node-gyp writes into build

const known = ["native", "typescript", "tests"];
const words = process.argv.slice(2);
const unknown = words.find((word) => !known.includes(word));
if (unknown) fail(`build: there is nothing named "${unknown}" to build; names are ${known.join(", ")}`);
const wanted = new Set(words.length > 0 ? words : ["native", "typescript"]);

if (wanted.has("native") || wanted.has("tests")) buildNative(wanted.has("tests"));
if (wanted.has("typescript"))
  run(process.execPath, [require.resolve("typescript/bin/tsc"), "--project", root]);

// cmake-js configures once, because only it knows Node's headers and flags; afterwards CMake alone finds out what
// has changed, CMakeLists.txt included. Test programs, once wanted, stay part of the build.
function buildNative(tests) {
  const cache = join(cmakeDirectory, "CMakeCache.txt");
  const configured = existsSync(cache) ? readFileSync(cache, "utf8") : "";
  const hasTests = configured.includes("MEDMAMBA_NATIVE_TESTS:BOOL=ON");
  if (!configured || (tests && !hasTests)) {
    const options = [
      "--out",
      cmakeDirectory,
      "--directory",
      root,
      `--CDMEDMAMBA_NATIVE_TESTS=${tests ? "ON" : "OFF"}`,
    ];
    run(process.execPath, [require.resolve("cmake-js/bin/cmake-js"), "configure", ...options]);
  }
  run("cmake", [
    "--build",
    cmakeDirectory,
    "--config",
    "Release",
    "--parallel",
    String(availableParallelism()),
  ]);
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (error?.code === "ENOENT")
    fail(`build: "${command}" was not found; building needs CMake 3.22 and a C++17 compiler`);
  if (error) fail(`build: ${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
