/** `medmamba build`: compiles the native addon on this machine, where npm delivers none that it loads. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { packageRoot } from "../../native/package-root.js";
import { CommandError } from "../console/failure.js";
import { Terminal } from "../console/terminal.js";

const examples = `
Needs CMake 3.22 or newer and a C++17 compiler (GCC or clang); with --cuda, the
CUDA toolkit 11.8 or newer (13 for the newest GPUs; with both, a library for
new drivers and one for older ones). What it makes is used from then on, before what npm
delivered, until the package is installed again.

Examples:
  $ medmamba build
  $ medmamba build --cuda`;

interface BuildOptions {
  readonly cuda?: boolean;
  readonly json?: boolean;
}

export function define(command: Command): void {
  command
    .description("Compile the native addon for this machine, for systems that npm delivers none for.")
    .option("--cuda", "the CUDA library, too")
    .option("--json", "print one JSON object on stdout and nothing else there")
    .option("--verbose", "show where in the code an error came from")
    .addHelpText("after", examples)
    .action(run);
}

function run(options: BuildOptions): void {
  const terminal = new Terminal(options);
  expectWritable();
  const words = options.cuda ? ["native", "cuda"] : ["native"];
  const { status } = spawnSync(process.execPath, [join(packageRoot, "scripts", "build.mjs"), ...words], {
    stdio: ["ignore", 2, 2], // a compiler's output is progress, not result
  });
  if (status !== 0)
    throw new CommandError("the addon could not be compiled; the compiler's messages are above.");
  const addon = join(packageRoot, "build", "Release", "medmamba.node");
  expectLoadable(addon);
  terminal.print(`Compiled ${addon}. \`medmamba doctor\` checks what it computes.`);
  terminal.result({ addon });
}

function expectWritable(): void {
  const existing = join(packageRoot, "build");
  try {
    accessSync(existsSync(existing) ? existing : packageRoot, constants.W_OK);
  } catch {
    throw new CommandError(
      `this user may not write to ${packageRoot}, where the addon is compiled: install the package in a folder of your own.`,
    );
  }
}

/** In a process of its own: this one may have another addon loaded. */
function expectLoadable(addon: string): void {
  const { status, stderr } = spawnSync(process.execPath, ["--eval", "require(process.argv[1])", addon], {
    encoding: "utf8",
  });
  if (status !== 0) throw new CommandError(`the compiled addon ${addon} does not load: ${stderr.trim()}`);
}
