// Refuses what must not be published: run by npm before it packs.
//
//   node scripts/verify-prebuilds.mjs [DIRECTORY] [--without-cuda] [--any-gpu] [--without TARGET or FILE]...
//
// Of DIRECTORY, by default prebuilds/ of this package: are the addon and the CUDA libraries of each target there, small
// enough, stripped, for the right processor; do they ask for no newer glibc and no other library than said here (on Windows
// not even for node.exe, which Electron has by another name; with musl for nothing that musl has not); have the CUDA
// libraries code for the GPUs that the documentation names; do they speak the addon's version of their interface; are all
// addons together small enough for everybody to download, and all files, packed, for a package? Are SHA256SUMS and all
// files of DIRECTORY the same as when they were built?
// Prints one line a file, or everything that is wrong. Needs readelf for those of Linux.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { hashesOf, whatDiffers } from "./checksums.mjs";
import { readPortableExecutable } from "./portable-executable.mjs";

const mebibyte = 2 ** 20;
const newestGlibc = "2.28";
const limitOfAddons = 15 * mebibyte; // of all systems' together, which every user downloads
const systemLibraries = /^(libc\.so\.6|libm\.so\.6|libpthread\.so\.0|libdl\.so\.2|librt\.so\.1)$/;
const packedLimit = 27 * mebibyte; // of all files, as npm packs them: what else a package has is below 3 MiB
const muslLibrary = "/lib/x86_64-linux-musl/libc.so";
const librariesOfWindows = /^(kernel32|msvcrt)\.dll$/i;
const addon = {
  file: "medmamba.node",
  exported: /^(napi_register_module_v1|node_api_module_get_api_version_v1)$/,
};
const x64 = { machine: "X86-64", loader: "ld-linux-x86-64.so.2" };
const arm64 = { machine: "AArch64", loader: "ld-linux-aarch64.so.1" };
const cuda = { limit: 20 * mebibyte, exported: /^medmamba_backend$/ };
const targets = {
  "linux-x64": [
    { ...addon, ...x64, limit: 4 * mebibyte },
    {
      ...cuda,
      ...x64,
      file: "libmedmamba_cuda.so",
      gpuCode: ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120", "compute_100"],
    },
    {
      ...cuda,
      ...x64,
      file: "libmedmamba_cuda11.so",
      gpuCode: ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "compute_90"],
    },
  ],
  "linux-x64-musl": [
    { ...addon, ...x64, folder: "linux-x64", file: "medmamba.musl.node", limit: 4 * mebibyte, musl: true },
  ],
  "linux-arm64": [{ ...addon, ...arm64, limit: 2 * mebibyte }],
  "win32-x64": [{ ...addon, limit: 4 * mebibyte, examine: examineWindows }],
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "without-cuda": { type: "boolean" },
    "any-gpu": { type: "boolean" }, // for tests, which build for few
    without: { type: "string", multiple: true, default: [] },
  },
});
const directory = resolve(positionals[0] ?? join(import.meta.dirname, "..", "prebuilds"));
const problems = whatDiffers(directory);

for (const [target, files] of Object.entries(targets)) {
  if (values.without.includes(target)) continue;
  for (const wanted of files) {
    const { folder = target, file, gpuCode, examine = examineLinux } = wanted;
    if ((gpuCode && values["without-cuda"]) || values.without.includes(file)) continue;
    const path = join(directory, folder, file);
    const found = existsSync(path) ? examine(path, wanted) : ["it is missing"];
    problems.push(...found.map((problem) => `${join(folder, file)}: ${problem}`));
    if (found.length === 0) console.error(`${join(folder, file)}: ${megabytes(statSync(path).size)}, right`);
  }
  if (problems.length === 0 && !values["without-cuda"]) problems.push(...whyNoPair(target, files));
}
if (problems.length === 0) problems.push(...whyTooLarge());

const all = hashesOf(directory)
  .filter(({ path }) => path.endsWith(".node"))
  .reduce((sum, { path }) => sum + statSync(join(directory, path)).size, 0);
if (all > limitOfAddons)
  problems.push(`all addons have ${megabytes(all)} together, more than ${megabytes(limitOfAddons)}`);
else if (problems.length === 0) console.error(`all addons: ${megabytes(all)} of ${megabytes(limitOfAddons)}`);

if (problems.length > 0) {
  console.error(`The prebuilt libraries in ${directory} cannot be published:`);
  for (const problem of problems) console.error(`  ${problem}`);
  console.error(
    "`npm run prebuilds` makes them, the CUDA libraries with the CUDA toolkit 13.0 or newer and with 11.8 (Debian: " +
      "nvidia-cuda-toolkit), those for ARM with g++-aarch64-linux-gnu, those for Windows with g++-mingw-w64-x86-64-posix, " +
      "that for musl with musl.",
  );
  process.exitCode = 1;
}

/** What is wrong with a file for Linux. */
function examineLinux(path, { machine, loader, limit, exported, gpuCode, musl }) {
  const size = statSync(path).size;
  let text;
  try {
    text = execFileSync(
      "readelf",
      ["--wide", "--file-header", "--sections", "--dynamic", "--dyn-syms", path],
      {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
        maxBuffer: 2 ** 26,
      },
    );
  } catch (error) {
    return [error.code === "ENOENT" ? "readelf was not found: install binutils" : "it is no ELF library"];
  }
  const found = [];
  const all = (pattern) => [...text.matchAll(pattern)].map(([, group]) => group);
  const unless = (holds, problem) => holds || found.push(problem);

  unless(size <= limit, `it has ${megabytes(size)}, more than ${megabytes(limit)}`);
  unless(new RegExp(`Machine:.*${machine}`).test(text), `it is not for ${machine}`);
  unless(!/ \.symtab /.test(text), "it is not stripped");
  const versions = all(/@GLIBC_([\d.]+)/g).filter((version) => newer(version, newestGlibc));
  unless(
    versions.length === 0,
    `it needs glibc ${[...new Set(versions)].join(", ")}, newer than ${newestGlibc}`,
  );
  unless(!/@(GLIBCXX|CXXABI|GCC)_/.test(text), "it needs symbols of a C++ library of the system");
  const libraries = all(/\(NEEDED\).*\[(.*)\]/g).filter((name) =>
    musl ? name !== "libc.so" : name !== loader && !systemLibraries.test(name),
  );
  unless(libraries.length === 0, `it needs ${libraries.join(", ")}`);
  if (musl) {
    const absent = whatMuslLacks(text);
    unless(absent.length === 0, `it needs ${absent.join(", ")}, which musl has not`);
  }
  const paths = all(/\((?:RUNPATH|RPATH)\).*\[(.*)\]/g);
  unless(paths.join() === "$ORIGIN", `its run path is "${paths.join()}", not "$ORIGIN"`);
  const shown = all(/(?:FUNC|OBJECT)\s+(?:GLOBAL|WEAK)\s+DEFAULT\s+\d+ ([\w.]+)/g).filter(
    (name) => !exported.test(name),
  );
  unless(shown.length === 0, `it shows the symbols ${shown.slice(0, 5).join(", ")}`);
  if (gpuCode && !values["any-gpu"]) {
    const code = codeIn(readFileSync(path));
    const missing = gpuCode.filter((name) => !code.has(name));
    unless(missing.length === 0, `it has no code for ${missing.join(", ")}`);
  }
  return found;
}

/**
 * What a library asks for that is neither of musl nor of Node-API: known only where musl is installed, as it is where the library
 * is built. Its loader would refuse the library for one such name.
 */
function whatMuslLacks(text) {
  if (!existsSync(muslLibrary)) return [];
  const symbols = (of, pattern) => [...of.matchAll(pattern)].map(([, name]) => name);
  const read = (path) =>
    execFileSync("readelf", ["--wide", "--dyn-syms", path], { encoding: "utf8", maxBuffer: 2 ** 26 });
  const has = new Set(symbols(read(muslLibrary), /DEFAULT\s+\d+ ([\w.]+)/g));
  const asked = symbols(text, /GLOBAL\s+DEFAULT\s+UND ([\w.]+)/g);
  return asked.filter((name) => !has.has(name) && !/^(napi|node_api)_/.test(name));
}

/** What is wrong with a file for Windows. */
function examineWindows(path, { limit, exported }) {
  const size = statSync(path).size;
  let library;
  try {
    library = readPortableExecutable(path);
  } catch (error) {
    return [`it is no library for 64-bit Windows: ${error.message}`];
  }
  const { machine, isLibrary, symbols, built, characteristics, imports, exports } = library;
  const found = [];
  const unless = (holds, problem) => holds || found.push(problem);

  unless(size <= limit, `it has ${megabytes(size)}, more than ${megabytes(limit)}`);
  unless(machine === 0x8664, "it is not for x86-64");
  unless(isLibrary, "it is a program, not a library");
  unless(symbols === 0, "it is not stripped");
  unless(built === 0, "it has the time of its making in it, so the same sources give another hash each time");
  // HIGH_ENTROPY_VA, DYNAMIC_BASE and NX_COMPAT, which administrators may demand of all that is loaded.
  unless(
    (characteristics & 0x160) === 0x160,
    "it is not made for random addresses and data that does not run",
  );
  const others = imports.map((one) => one.library).filter((name) => !librariesOfWindows.test(name));
  unless(others.length === 0, `it needs ${others.join(", ")}`);
  const shown = exports.filter((name) => !exported.test(name));
  unless(shown.length === 0, `it shows the symbols ${shown.slice(0, 5).join(", ")}`);
  unless(exports.includes("napi_register_module_v1"), "it shows no entry of Node-API");
  return found;
}

/** The GPUs that a library has machine code (sm_) and PTX (compute_) for, from the headers of its fat binaries. */
function codeIn(library) {
  const found = new Set();
  const magic = Buffer.from([0x50, 0xed, 0x55, 0xba]);
  for (let at = library.indexOf(magic); at >= 0; at = library.indexOf(magic, at + 1)) {
    const end = at + 16 + Number(library.readBigUInt64LE(at + 8));
    if (library.readUInt16LE(at + 4) !== 1 || end > library.length) continue;
    for (let entry = at + 16; entry + 32 <= end; ) {
      found.add(
        `${library.readUInt16LE(entry) === 1 ? "compute" : "sm"}_${library.readUInt32LE(entry + 28)}`,
      );
      entry += library.readUInt32LE(entry + 4) + Number(library.readBigUInt64LE(entry + 8));
    }
  }
  return found;
}

/** Whether the addon takes the CUDA libraries, on a machine that can load them. */
function whyNoPair(target, files) {
  if (target !== `${platform()}-${arch()}`) return [];
  const addon = createRequire(import.meta.url)(join(directory, target, "medmamba.node"));
  return files
    .filter(({ file, gpuCode }) => gpuCode && !values.without.includes(file))
    .flatMap(({ file }) => {
      try {
        addon.deviceCount(join(directory, target, file));
        return [];
      } catch (error) {
        // That there is no driver says that the library was loaded, and had been built for this addon.
        return /could not be loaded|interface|no working/.test(error.message)
          ? [`${target}: ${error.message}`]
          : [];
      }
    });
}

function whyTooLarge() {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const packed = files
    .map(({ parentPath, path, name }) => gzipSync(readFileSync(join(parentPath ?? path, name))).length)
    .reduce((sum, bytes) => sum + bytes, 0);
  console.error(`all of them, packed: ${megabytes(packed)} of at most ${megabytes(packedLimit)}`);
  return packed <= packedLimit
    ? []
    : [`packed, all have ${megabytes(packed)}, more than ${megabytes(packedLimit)}`];
}

function newer(version, than) {
  const [a, b] = [version, than].map((text) => text.split(".").map(Number));
  return a[0] !== b[0] ? a[0] > b[0] : a[1] > b[1];
}

function megabytes(bytes) {
  return `${(bytes / mebibyte).toFixed(2)} MiB`;
}
