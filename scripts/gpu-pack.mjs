// `scripts/gpu-run.sh --pack`: what a machine with a GPU needs beside the files of the repository, in .gpu/, for one that
// has neither Node nor a network nor a compiler. Fails if all of it together is more than 60 MB, which is what a small
// transfer takes.
import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const most = 60e6;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const to = join(root, ".gpu");
const run = (command, args, options = {}) =>
  execFileSync(command, args, { cwd: root, maxBuffer: 1e9, ...options });

const built = [
  "dist",
  "build/Release/medmamba.node",
  "build/Release/libmedmamba_cuda.so",
  "build/gpu-tests/medmamba-gpu-tests",
];
const missing = built.filter((path) => !existsSync(join(root, path)));
if (missing.length > 0) {
  console.error(
    `gpu-pack: ${missing.join(", ")} is missing: \`npm run build\`, \`npm run build:cuda\` and \`npm run build:gpu-tests\` make it`,
  );
  process.exit(1);
}

mkdirSync(to, { recursive: true });
const stage = mkdtempSync(join(tmpdir(), "gpu-pack-"));
try {
  for (const path of built) cpSync(join(root, path), join(stage, path), { recursive: true, filter: needed });
  for (const file of ["package.json", "package-lock.json"]) cpSync(join(root, file), join(stage, file));
  const quiet = ["--silent", "--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts"];
  run("npm", ["ci", ...quiet], { cwd: stage, stdio: ["ignore", "ignore", "inherit"] });
  run("tar", ["-cJf", join(to, "package.tar.xz"), "dist", "build", "node_modules"], { cwd: stage });

  const node = join(stage, "node");
  cpSync(realpathSync(process.execPath), node);
  run("strip", [node]);
  writeFileSync(join(to, "node.xz"), run("xz", ["-T0", "-c", node]));
} finally {
  rmSync(stage, { recursive: true });
}

const tracked = run("git", ["ls-files", "-z"], { encoding: "utf8" }).split("\0").filter(Boolean);
const sizes = {
  ".gpu/package.tar.xz": statSync(join(to, "package.tar.xz")).size,
  ".gpu/node.xz": statSync(join(to, "node.xz")).size,
  "the repository's files": tracked.reduce((sum, path) => sum + sizeOf(join(root, path)), 0),
};
const total = Object.values(sizes).reduce((sum, bytes) => sum + bytes, 0);
for (const [what, bytes] of Object.entries(sizes))
  console.log(`${(bytes / 1e6).toFixed(1).padStart(6)} MB  ${what}`);
console.log(`${(total / 1e6).toFixed(1).padStart(6)} MB  of ${most / 1e6}`);
if (total > most) {
  console.error("gpu-pack: that is too much to carry");
  process.exit(1);
}

// Programs run without what is there to read of them.
function needed(path) {
  return !/\.(map|d\.ts|tsbuildinfo)$/.test(path) && !path.startsWith(join(root, "dist", "cjs"));
}

function sizeOf(path) {
  return existsSync(path) ? readFileSync(path).length : 0;
}
