// Builds what has changed: the addon through cmake-js and CMake, TypeScript through tsc.
//
//   node scripts/build.mjs [native] [typescript] [tests] [cuda] [gpu-tests] [prebuilt] [musl] [TARGET]
//
// Without words: native and typescript. `tests` adds the native test programs to the addon, and the CUDA library where
// there is an nvcc to build it. `cuda` is the CUDA library, which needs the CUDA toolkit, and `gpu-tests` the native tests
// for a GPU, as one program, build/gpu-tests/medmamba-gpu-tests. `prebuilt` is addon and CUDA library, linked as npm
// delivers them, for `npm run prebuilds`; without nvcc, the addon alone. `musl` is the addon for Linux with musl, such as
// Alpine, made of the same objects. With a TARGET, one of native/toolchains, native code is built for that machine instead,
// in build/cmake-TARGET.
//
// This file is delivered, too: `npx medmamba build` runs it in an installed package, where there is no cmake-js.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findNvcc } from "./find-nvcc.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);

const toolchains = join(root, "native", "toolchains");
const targets = existsSync(toolchains) ? readdirSync(toolchains).map((file) => basename(file, ".cmake")) : []; // They are not delivered.
const known = ["native", "typescript", "tests", "cuda", "gpu-tests", "prebuilt", "musl", ...targets];
const words = process.argv.slice(2);
const target = words.find((word) => targets.includes(word));
// Beside build/Release and what node-gyp writes into build.
const cmakeDirectory = join(root, "build", target ? `cmake-${target}` : "cmake");
const unknown = words.find((word) => !known.includes(word));
if (unknown) fail(`build: there is nothing named "${unknown}" to build; names are ${known.join(", ")}`);
const wanted = new Set(words.length > 0 ? words : ["native", "typescript"]);

if (wanted.has("native") || wanted.has("tests")) buildNative(wanted.has("tests"));
if (!target && (wanted.has("cuda") || wanted.has("tests"))) buildCuda(wanted.has("cuda"));
if (wanted.has("gpu-tests")) buildGpuTests();
if (wanted.has("prebuilt")) buildPrebuilt();
if (wanted.has("musl")) {
  configure({});
  build("prebuilt_musl");
}
if (wanted.has("typescript")) {
  run(process.execPath, [require.resolve("typescript/bin/tsc"), "--project", root]);
  run(process.execPath, [join(root, "scripts", "commonjs.mjs")]);
}

// The addon, and all that belongs to the tests once they have been wanted.
function buildNative(tests) {
  const options = tests ? { MEDMAMBA_NATIVE_TESTS: "ON" } : {};
  configure(options);
  build("all");
}

// The CUDA library; if it is not `needed`, a machine without nvcc goes on without it.
function buildCuda(needed) {
  const nvcc = findNvcc();
  if (!nvcc) {
    const missing = withoutNvcc("the CUDA library needs");
    if (needed) fail(`build: ${missing}`);
    console.log(`build: ${missing}.\n  It is not built; its kernels are tested on the emulator.`);
    return;
  }
  configure({ MEDMAMBA_CUDA: "ON", CMAKE_CUDA_COMPILER: nvcc });
  build("medmamba_cuda");
}

function buildGpuTests() {
  const nvcc = findNvcc();
  if (!nvcc) fail(`build: ${withoutNvcc("the tests for a GPU need")}`);
  configure({ MEDMAMBA_CUDA: "ON", MEDMAMBA_NATIVE_TESTS: "ON", CMAKE_CUDA_COMPILER: nvcc });
  build("medmamba_gpu_tests");
}

function withoutNvcc(needs) {
  return `nvcc was not found: ${needs} the CUDA toolkit 13.0 or newer, its nvcc on the PATH or named by CUDACXX`;
}

function buildPrebuilt() {
  const nvcc = target ? undefined : findNvcc();
  configure(nvcc ? { MEDMAMBA_CUDA: "ON", CMAKE_CUDA_COMPILER: nvcc } : {});
  build("prebuilt");
}

// cmake-js configures first, because it knows what each platform's Node wants of an addon (Linux and macOS: nothing, and
// nothing of ours on Windows: native/windows/node_api.cpp);
// afterwards CMake alone finds out what has changed, CMakeLists.txt included, and takes options that are new.
function configure(options) {
  const cache = join(cmakeDirectory, "CMakeCache.txt");
  removeForeign(cache);
  if (target) options = { ...options, CMAKE_TOOLCHAIN_FILE: join(toolchains, `${target}.cmake`) };
  const isWindows = process.platform === "win32";
  const cmakeJs = target || isWindows ? undefined : findCmakeJs();
  if (!existsSync(cache) && cmakeJs) {
    run(process.execPath, [
      cmakeJs,
      "configure",
      "--out",
      cmakeDirectory,
      "--directory",
      root,
      ...Object.entries(options).map(([name, value]) => `--CD${name}=${value}`),
    ]);
    return;
  }
  const configured = existsSync(cache) ? readFileSync(cache, "utf8") : "";
  const isNew = ([name, value]) => !new RegExp(`^${name}:\\w+=${value}$`, "m").test(configured);
  const changed = Object.entries(options).filter(isNew);
  if (changed.length > 0 || !configured)
    run("cmake", [
      ...(isWindows && !configured ? windowsTools() : []),
      ...changed.map(([name, value]) => `-D${name}=${value}`),
      ...["-S", root, "-B", cmakeDirectory],
    ]);
}

// On Windows CMake would take Microsoft's compiler, which native code is not written for: native/windows/compiler.cmake.
function windowsTools() {
  const hasNinja = spawnSync("ninja", ["--version"]).status === 0;
  const { CC = "gcc", CXX = "g++" } = process.env;
  if (spawnSync(CXX, ["--version"]).status !== 0) fail(`build: "${CXX}" was not found; ${needed()}`);
  return [
    ...["-G", hasNinja ? "Ninja" : "MinGW Makefiles"],
    ...[`-DCMAKE_C_COMPILER=${CC}`, `-DCMAKE_CXX_COMPILER=${CXX}`],
  ];
}

function needed() {
  return process.platform === "win32"
    ? "building on Windows needs CMake 3.22, GCC of MinGW-w64 (MSYS2's or w64devkit's), and ninja or mingw32-make, all on the PATH"
    : "building needs CMake 3.22 and a C++17 compiler";
}

// The build folder of a checkout that was copied or moved belongs to the one before, and CMake would build into that.
function removeForeign(cache) {
  if (!existsSync(cache)) return;
  const [, home] = /^CMAKE_HOME_DIRECTORY:\w+=(.*)$/m.exec(readFileSync(cache, "utf8")) ?? [];
  if (home === undefined || (existsSync(home) && realpathSync(home) === realpathSync(root))) return;
  console.log(`build: build/cmake was made for ${home}: it is made anew for this checkout.`);
  rmSync(cmakeDirectory, { recursive: true });
}

function findCmakeJs() {
  try {
    return require.resolve("cmake-js/bin/cmake-js");
  } catch {
    return undefined;
  }
}

function build(target) {
  const cores = String(availableParallelism());
  run("cmake", ["--build", cmakeDirectory, "--config", "Release", "--target", target, "--parallel", cores]);
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (error?.code === "ENOENT") fail(`build: "${command}" was not found; ${needed()}`);
  if (error) fail(`build: ${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
