/**
 * Loads the addon, once and only when it is first needed: what does not compute (`--help`, reading a header) works
 * without it.
 *
 * node-gyp-build finds it, by the rules and environment variables that its users know. A local build comes before the
 * delivered one: whoever has compiled on this machine (a source checkout, or `npx medmamba build` in an installed
 * package) wants what they have compiled. If what was found does not load, the usual places are tried; if they do not
 * load either, the error says of each file why.
 */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { AddonError } from "../errors.js";
import { messageOf } from "../settings/realms.js";
import type { NativeAddon } from "./addon.js";
import {
  describeSystem,
  hasMusl,
  hasOldGlibc,
  inspectLibrary,
  oldestGlibc,
  type System,
  thisSystem,
} from "./inspection.js";
import { packageRoot, require } from "./package-root.js";

interface Loaded {
  readonly addon: NativeAddon;
  readonly path: string;
}

let loaded: Loaded | undefined;

/** @throws AddonError if it cannot be loaded */
export function loadAddon(): NativeAddon {
  loaded ??= load(packageRoot);
  return loaded.addon;
}

/**
 * The file of the addon that is in use.
 *
 * @throws AddonError if there is no addon
 */
export function addonPath(): string {
  loadAddon();
  return loaded!.path;
}

/**
 * Where a backend's shared library has to be: beside the addon, with which it is built and delivered.
 *
 * @throws AddonError if there is no addon
 */
export function backendLibrary(name: "medmamba_cuda" | "medmamba_cuda_emulated"): string {
  const file = process.platform === "win32" ? `${name}.dll` : `lib${name}.so`;
  return join(dirname(addonPath()), file);
}

/** Whether this is the project's repository, not what npm installs. */
export function isSourceCheckout(root = packageRoot): boolean {
  return existsSync(join(root, "src"));
}

/** @internal The addon of the package at `root`, or of the folder that MEDMAMBA_PREBUILD names. */
export function load(root: string, describe: () => System = thisSystem): Loaded {
  const tried = candidates(resolve(process.env.MEDMAMBA_PREBUILD || root));
  const problems: string[] = [];
  let cause: unknown;
  for (const path of tried) {
    let problem = inspectLibrary(path, process);
    if (!problem) {
      try {
        return { addon: require(path) as NativeAddon, path };
      } catch (error) {
        cause ??= error;
        problem = messageOf(error).replace(`${path}: `, "");
      }
    }
    problems.push(`  ${path}: ${problem}\n`);
  }
  const system = describe();
  throw new AddonError(
    `the native addon could not be loaded on ${describeSystem(system)}, Node ${system.node}. Tried:\n` +
      `${problems.join("")}  ${advice(root, system)}`,
    tried,
    { cause },
  );
}

/** The files to try, in their order: what node-gyp-build finds, and where the addon usually is. */
function candidates(directory: string): string[] {
  const { env, platform, arch } = process;
  const target = `${env.npm_config_platform || platform}-${env.npm_config_arch || arch}`;
  const inTarget = (name: string) => join(directory, "prebuilds", target, name);
  const isMusl = env.LIBC ? env.LIBC === "musl" : hasMusl();
  const usual = [inTarget(isMusl ? "medmamba.musl.node" : "medmamba.node")];
  if (!env.PREBUILDS_ONLY) usual.unshift(join(directory, "build", "Release", "medmamba.node"));
  const found = find(directory);
  if (found === undefined || usual.includes(found)) return usual;
  // node-gyp-build knows musl by Alpine's own file, so on other systems that have it it takes what is glibc's.
  return isMusl && found === inTarget("medmamba.node") ? [...usual, found] : [found, ...usual];
}

/** What node-gyp-build, which is loaded no earlier than this, finds for this machine; undefined if nothing. */
function find(directory: string): string | undefined {
  try {
    const { path } = require("node-gyp-build") as { path(directory: string): string };
    return resolve(path(directory));
  } catch {
    return undefined; // its message names no file, ours does; or a bundle has left it behind
  }
}

/** Environment variables that tell node-gyp-build where to look, or for what. */
const steering = [
  "MEDMAMBA_PREBUILD",
  "PREBUILDS_ONLY",
  "npm_config_platform",
  "npm_config_arch",
  "LIBC",
  "ARM_VERSION",
];

/** What to do about an addon that does not load. */
function advice(root: string, system: System): string {
  const set = steering.filter((name) => process.env[name]).map((name) => `${name}=${process.env[name]}`);
  if (set.length === 0) return adviceAsUsual(root, system);
  const unset = `Unset ${set.join(", ")} to have the addon looked for in the usual places.`;
  return process.env.MEDMAMBA_PREBUILD ? unset : `${unset}\n  ${adviceAsUsual(root, system)}`;
}

function adviceAsUsual(root: string, system: System): string {
  if (isSourceCheckout(root)) return "In a source checkout, build it with `npm run build`.";
  const compile = "compile it with `npx medmamba build` (CMake 3.22 or newer, a C++17 compiler)";
  if (system.platform === "linux" && !system.glibc && system.arch !== "x64")
    return (
      `The addon that npm delivers for ${system.arch} needs glibc, and this system has musl (Alpine Linux): ` +
      `use an image with glibc, such as node:22-slim, or ${compile}.`
    );
  if (hasOldGlibc(system))
    return (
      `The addon that npm delivers needs glibc ${oldestGlibc} or newer, this system has ${system.glibc}: ` +
      `use a newer system, or ${compile}.`
    );
  const delivered = targetsIn(join(root, "prebuilds"));
  if (delivered.includes(`${system.platform}-${system.arch}`))
    return `Install the package again (\`npm install medmamba --force\`), or ${compile}.`;
  return delivered.length > 0
    ? `npm delivers the addon for ${delivered.join(", ")}; for this system, ${compile}.`
    : `This package came without an addon: ${compile}.`;
}

function targetsIn(directory: string): string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name); // beside SHA256SUMS
  } catch {
    return [];
  }
}
