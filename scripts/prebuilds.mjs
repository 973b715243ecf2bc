// Makes prebuilds/<platform>-<arch>/: the addon and the CUDA libraries as npm delivers them, stripped, for this machine and for
// the others that there is a compiler for.
//
//   npm run prebuilds
//
// (Not "prebuild": npm would run a script of that name before every `npm run build`.)
//
// prebuildify does it, with scripts/build.mjs in the place of node-gyp. Without nvcc the CUDA libraries are left out, without
// an older one that for older drivers, and without its compiler another machine; scripts/verify-prebuilds.mjs, which runs before every `npm pack` and `npm publish`, will refuse
// what is there. prebuilds/SHA256SUMS names the hashes of all.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { arch, platform } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import prebuildify from "prebuildify";
import { writeSums } from "./checksums.mjs";
import { findNvccs, toolkits } from "./find-nvcc.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const { newest, older } = findNvccs();
if (!newest)
  console.log(`prebuilds: there is no nvcc of ${toolkits.newest}: nothing is built for drivers from 580 on.`);
if (!older)
  console.log(`prebuilds: there is no nvcc of ${toolkits.older}: nothing is built for older drivers.`);
await make(platform(), arch(), "strip");
for (const { system, processor, tools } of [
  { system: "linux", processor: "arm64", tools: "aarch64-linux-gnu-" },
  { system: "win32", processor: "x64", tools: "x86_64-w64-mingw32-" },
]) {
  if (system === platform() && processor === arch()) continue;
  if (spawnSync(`${tools}g++`, ["--version"]).status === 0) await make(system, processor, `${tools}strip`);
  else console.log(`prebuilds: ${tools}g++ was not found: nothing is built for ${system}-${processor}.`);
}
if (platform() === "linux" && arch() === "x64") {
  if (existsSync("/lib/x86_64-linux-musl/libc.so")) await make("linux", "x64", "strip", "musl");
  else
    console.log(
      "prebuilds: musl's C library (Debian's package musl) was not found: nothing is built for it.",
    );
}
writeSums(join(root, "prebuilds"));

// What has a C library in its name goes beside the file that has none.
async function make(system, processor, strip, libc) {
  // prebuildify takes what it finds in build/Release of its folder, which is not to be the folder of the ordinary build.
  const directory = join(root, "build", libc ? `prebuilt-${libc}` : "prebuilt");
  rmSync(join(directory, "build", "Release"), { recursive: true, force: true });
  if (!libc) rmSync(join(root, "prebuilds", `${system}-${processor}`), { recursive: true, force: true });
  mkdirSync(join(directory, "build", "Release"), { recursive: true }); // CMake makes it when it configures, and not again.
  await promisify(prebuildify)({
    name: "medmamba",
    targets: [`node@${process.versions.node}`],
    platform: system,
    arch: processor,
    napi: true,
    ...(libc && { libc, tagLibc: libc }),
    strip: system !== "win32", // The linker has done it: native/windows/CMakeLists.txt.
    stripBin: strip,
    nodeGyp: join(root, "scripts", "prebuilt-gyp.mjs"),
    cwd: directory,
    out: root,
  });
}
