#!/usr/bin/env node
// What prebuildify calls for node-gyp: this project builds with CMake, and Node-API is the same for every version of Node.
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const build = join(import.meta.dirname, "build.mjs");
process.exit(spawnSync(process.execPath, [build, "prebuilt"], { stdio: "inherit" }).status ?? 1);
