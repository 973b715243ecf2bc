/**
 * Loads the addon, once and only when it is first needed: what does not compute (`--help`, reading a header) works
 * without it.
 */
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NativeAddon } from "./addon.js";
import { MedMambaError } from "./errors.js";

/** The addon is not there, or the system cannot load it; `tried` lists the places that were looked at. */
export class AddonError extends MedMambaError {
  readonly tried: readonly string[];

  constructor(message: string, tried: readonly string[], options?: ErrorOptions) {
    super("MEDMAMBA_NO_ADDON", message, options);
    this.tried = tried;
  }
}

const packageRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
let loaded: NativeAddon | undefined;

interface NodeGypBuild {
  (root: string): NativeAddon;
  /** The file that would be loaded. */
  path(root: string): string;
}
const nodeGypBuild = createRequire(import.meta.url)("node-gyp-build") as NodeGypBuild;

/** @throws AddonError if it cannot be loaded */
export function loadAddon(): NativeAddon {
  loaded ??= load(packageRoot);
  return loaded;
}

/**
 * Where a backend's shared library has to be: beside the addon, with which it is built and delivered.
 *
 * @throws AddonError if there is no addon
 */
export function backendLibrary(name: "medmamba_cuda" | "medmamba_cuda_emulated"): string {
  loadAddon();
  return join(dirname(nodeGypBuild.path(packageRoot)), `lib${name}.so`);
}

/** @internal The addon of the package at `root`. */
export function load(root: string): NativeAddon {
  try {
    return nodeGypBuild(root);
  } catch (error) {
    // node-gyp-build looks at these in this order: a source checkout's build, then what npm delivered.
    const tried = [
      join("build", "Release"),
      join("build", "Debug"),
      join("prebuilds", `${platform()}-${arch()}`),
    ].map((place) => join(root, place));
    const reason = error instanceof Error ? error.message.split("\n", 1)[0] : String(error);
    throw new AddonError(
      `the native addon could not be loaded on ${platform()}-${arch()}, Node ${process.version}: ${reason}\n` +
        tried.map((place) => `  ${place}: ${addonsIn(place)}\n`).join("") +
        "  In a source checkout, build it with `npm run build`.",
      tried,
      { cause: error },
    );
  }
}

function addonsIn(directory: string): string {
  try {
    return (
      readdirSync(directory)
        .filter((name) => name.endsWith(".node"))
        .join(", ") || "no addon in it"
    );
  } catch {
    return "not there";
  }
}
