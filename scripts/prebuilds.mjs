// Makes prebuilds/<platform>-<arch>/: the addon and the CUDA library as npm delivers them, stripped.
//
//   npm run prebuilds
//
// prebuildify does it, with scripts/build.mjs in the place of node-gyp. Without nvcc the CUDA library is left out, and
// scripts/verify-prebuilds.mjs, which runs before every `npm pack` and `npm publish`, will refuse what is there.
import { mkdirSync, rmSync } from "node:fs";
import { arch, platform } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import prebuildify from "prebuildify";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
// prebuildify takes what it finds in build/Release of its folder, which is not to be the folder of the ordinary build.
const directory = join(root, "build", "prebuilt");

rmSync(join(directory, "build", "Release"), { recursive: true, force: true });
rmSync(join(root, "prebuilds", `${platform()}-${arch()}`), { recursive: true, force: true });
mkdirSync(directory, { recursive: true });
await promisify(prebuildify)({
  name: "medmamba",
  targets: [`node@${process.versions.node}`],
  napi: true,
  strip: true,
  nodeGyp: join(root, "scripts", "prebuilt-gyp.mjs"),
  cwd: directory,
  out: root,
});
