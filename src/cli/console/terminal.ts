/**
 * Where a command's words go. Results are on stdout: text for people, or with `--json` one object and nothing else.
 * Progress and warnings are on stderr. The progress line is rewritten in place, and only on a terminal.
 */
import { CommandError } from "./failure.js";
import { lineWidth, wrapped } from "./wording.js";

/** A reader that went away (`| head`) is no reason to stop a training; a full disk behind stdout is one to fail. */
export function survivePipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") return;
      process.exitCode = 1;
      if (stream === process.stdout)
        process.stderr.write(`medmamba: the output could not be written: ${error.message}.\n`);
    });
  }
}

/** Text without what a terminal would take for commands, as names of files and classes may have it. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are meant
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "\u{fffd}");
}

export class Terminal {
  readonly json: boolean;
  /** Of a process whose words another one says. */
  silent = false;
  #progressShown = false;

  constructor({ json = false }: { json?: boolean | undefined }) {
    this.json = json;
  }

  /** A part of the result, for people; with `--json` nothing. */
  print(text = ""): void {
    if (this.json || this.silent) return;
    this.clearProgress();
    process.stdout.write(`${printable(text)}\n`);
  }

  /** What has happened on the way to the result: kept from stdout with `--json`. */
  status(text: string): void {
    if (this.silent) return;
    this.clearProgress();
    (this.json ? process.stderr : process.stdout).write(`${printable(text)}\n`);
  }

  /** Something odd that is no obstacle. */
  warn(text: string): void {
    if (this.silent) return;
    this.clearProgress();
    const { isTTY, columns } = process.stderr;
    const said = `warning: ${printable(text)}`;
    // A file or a program gets a warning as one line, which can be searched for.
    const lines = isTTY ? said.split("\n").flatMap((line) => wrapped(line, columns || lineWidth)) : [said];
    process.stderr.write(`${lines.join("\n")}\n`);
  }

  /** What is going on right now; the next call replaces it. */
  progress(text: string): void {
    if (!process.stderr.isTTY || this.silent) return;
    this.#progressShown = true;
    process.stderr.write(`\r${printable(text).slice(0, (process.stderr.columns || 80) - 1)}\x1b[K`);
  }

  clearProgress(): void {
    if (this.#progressShown) process.stderr.write("\r\x1b[K");
    this.#progressShown = false;
  }

  /** The one object of `--json`; NaN, which JSON cannot say, becomes null. */
  result(value: object): void {
    if (this.json && !this.silent) process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  }
}

/** Windows has no SIGTERM, but Ctrl-Break, and SIGHUP when the window is closed, some seconds before it ends the process. */
const interruptions: readonly NodeJS.Signals[] =
  process.platform === "win32" ? ["SIGINT", "SIGBREAK", "SIGHUP"] : ["SIGINT", "SIGTERM"];

/**
 * Runs `body` with a signal that Ctrl-C (or SIGTERM, from a scheduler) aborts. The second Ctrl-C quits at once.
 *
 * @param notice  said at the first
 */
export async function interruptible<T>(
  terminal: Terminal,
  notice: string,
  body: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) {
      terminal.clearProgress();
      process.exit(1);
    }
    terminal.clearProgress();
    if (!terminal.silent) process.stderr.write(`${notice}\n`);
    controller.abort(new CommandError("stopped."));
  };
  for (const name of interruptions) process.on(name, interrupt);
  try {
    return await body(controller.signal);
  } finally {
    for (const name of interruptions) process.off(name, interrupt);
    terminal.clearProgress();
  }
}
