/**
 * Loads the addon, once and only when it is first needed: what does not compute (`--help`, reading a header) works
 * without it.
 *
 * A local build comes before the delivered one: whoever has compiled on this machine (a source checkout, or
 * `npx medmamba build` in an installed package) wants what they have compiled. It is the only thing that could be there
 * besides what npm delivered, and if it does not load, the delivered one is tried.
 */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { MedMambaError } from "../errors.js";
import type { NativeAddon } from "./addon.js";
import {
  describeSystem,
  hasOldGlibc,
  inspectLibrary,
  oldestGlibc,
  type System,
  thisSystem,
} from "./inspection.js";
import { packageRoot, require } from "./package-root.js";

/** The addon is not there, or the system cannot load it; `tried` lists the files that were looked at. */
export class AddonError extends MedMambaError {
  /** Files that were looked at, in their order. */
  readonly tried: readonly string[];

  constructor(message: string, tried: readonly string[], options?: ErrorOptions) {
    super("MEDMAMBA_NO_ADDON", message, options);
    this.tried = tried;
  }
}

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
  return join(dirname(addonPath()), `lib${name}.so`);
}

/** Whether this is the project's repository, not what npm installs. */
export function isSourceCheckout(root = packageRoot): boolean {
  return existsSync(join(root, "src"));
}

/** @internal The addon of the package at `root`. */
export function load(root: string, describe: () => System = thisSystem): Loaded {
  const { platform, arch } = process;
  const tried = [
    join(root, "build", "Release", "medmamba.node"),
    join(root, "prebuilds", `${platform}-${arch}`, "medmamba.node"),
  ];
  const problems: string[] = [];
  let cause: unknown;
  for (const path of tried) {
    let problem = inspectLibrary(path, { platform, arch });
    if (!problem) {
      try {
        return { addon: require(path) as NativeAddon, path };
      } catch (error) {
        cause ??= error;
        problem = (error instanceof Error ? error.message : String(error)).replace(`${path}: `, "");
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

/** What to do about an addon that does not load. */
function advice(root: string, system: System): string {
  if (isSourceCheckout(root)) return "In a source checkout, build it with `npm run build`.";
  const compile = "compile it with `npx medmamba build` (CMake 3.22 or newer, a C++17 compiler)";
  if (system.platform === "linux" && !system.glibc)
    return (
      "The addon that npm delivers needs glibc, and this system has musl (Alpine Linux): " +
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
    return readdirSync(directory);
  } catch {
    return [];
  }
}
