#!/usr/bin/env node
// What prebuildify calls for node-gyp: this project builds with CMake, and Node-API is the same for every version of Node.
import { spawnSync } from "node:child_process";
import { arch, platform } from "node:os";
import { join } from "node:path";

const build = join(import.meta.dirname, "build.mjs");
const { PREBUILD_PLATFORM = platform(), PREBUILD_ARCH = arch(), PREBUILD_LIBC } = process.env; // as prebuildify sets them
const isOwn = PREBUILD_PLATFORM === platform() && PREBUILD_ARCH === arch();
const words = [
  PREBUILD_LIBC === "musl" ? "musl" : "prebuilt",
  ...(isOwn ? [] : [`${PREBUILD_PLATFORM}-${PREBUILD_ARCH}`]),
];
process.exit(spawnSync(process.execPath, [build, ...words], { stdio: "inherit" }).status ?? 1);
