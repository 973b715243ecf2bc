// Makes dist/cjs, for `require("medmamba")` in versions of Node that cannot require ES modules (before 20.19 and 22.12).
//
// It is one file, with the dependencies that are ES modules alone inside, and a copy of the types. All newer versions
// get the ES modules for `require`, too (condition "module-sync" of package.json), so that a process that mixes both ways
// has each class once. In the older ones it has two copies of the TypeScript, over one addon.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const dist = join(dirname(dirname(fileURLToPath(import.meta.url))), "dist");
const directory = join(dist, "cjs");
const { dependencies } = JSON.parse(readFileSync(join(dist, "..", "package.json"), "utf8"));
const modulesAlone = ["d3-scale", "d3-shape"];

mkdirSync(directory, { recursive: true });
await build({
  entryPoints: [join(dist, "index.js")],
  outfile: join(directory, "index.js"),
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20.17",
  external: Object.keys(dependencies).filter((name) => !modulesAlone.includes(name)),
  define: { "import.meta.url": "moduleUrl" },
  banner: { js: 'const moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
  logLevel: "warning",
});
writeFileSync(join(directory, "package.json"), '{ "type": "commonjs" }\n');
for (const path of readdirSync(dist, { recursive: true })) {
  if (!path.endsWith(".d.ts") || /^(cjs|cli)[\\/]/.test(path)) continue;
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  copyFileSync(join(dist, path), join(directory, path));
}
