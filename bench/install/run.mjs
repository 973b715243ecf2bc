// Time from `npm install` to the first prediction, beside other ways to run a network in Node.
//
//   npm run bench:install            packs this package first; needs what `npm run prebuilds` needs, and the npm registry
//
// Each package is installed into an empty project, from a cache that has everything, without install scripts, and then
// predicts one image of 224 x 224 in a new process: medmamba with MedMamba-T, the others with a single 3x3 convolution, since
// they come without a network. Three rounds, in turn; prints the median and all times as JSON.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const scratch = mkdtempSync(join(tmpdir(), "medmamba-install-"));
const rounds = 3;

run("npm", ["pack", "--pack-destination", scratch], root);
const tarball = join(
  scratch,
  readdirSync(scratch).find((name) => name.endsWith(".tgz")),
);
const packages = {
  medmamba: tarball,
  "@tensorflow/tfjs": "@tensorflow/tfjs@4.22.0",
  "onnxruntime-node": "onnxruntime-node@1.30.0",
};

const results = Object.keys(packages).map((name) => ({
  name,
  megabytes: 0,
  install: [],
  first: [],
  total: [],
}));
for (let round = 0; round <= rounds; round++) {
  for (const result of results) {
    const { megabytes, install, first } = measure(result.name);
    if (round === 0) continue; // fills the cache
    result.megabytes = megabytes;
    result.install.push(install);
    result.first.push(first);
    result.total.push(install + first);
  }
}
rmSync(scratch, { recursive: true });
for (const result of results) result.median = [...result.total].sort((a, b) => a - b)[(rounds - 1) / 2];
console.log(JSON.stringify({ node: process.version, results }, rounded, 2));

function measure(name) {
  const project = join(scratch, "project");
  rmSync(project, { recursive: true, force: true });
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{ "private": true, "type": "module" }');
  const program = `${name.replace(/\W/g, "-").replace(/^-/, "")}.mjs`;
  copyFileSync(join(import.meta.dirname, program), join(project, program));
  const options = ["--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"];
  const install = timed(() => run("npm", ["install", ...options, packages[name]], project));
  const first = timed(() => run(process.execPath, [program], project));
  return { megabytes: sizeOf(join(project, "node_modules")) / 1e6, install, first };
}

function timed(action) {
  const start = performance.now();
  action();
  return (performance.now() - start) / 1000;
}

function run(command, args, cwd) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stdout}${stderr}`);
}

function sizeOf(directory) {
  let bytes = 0;
  for (const path of readdirSync(directory, { recursive: true }))
    bytes += statSync(join(directory, path)).size;
  return bytes;
}

function rounded(_, value) {
  return typeof value === "number" ? Number(value.toFixed(2)) : value;
}
