/** Several processes that work together, each a program of test/support/ranks, and what they say. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { freePort } from "../../src/distributed/spawn.js";

/** What came of a process. */
export interface RankOutcome {
  readonly rank: number;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Lines of stdout. */
  readonly lines: readonly string[];
  readonly stderr: string;
  /** When it ended, by `performance.now()`. */
  readonly at: number;
}

type Variables = Readonly<Record<string, string>>;

export interface RanksOptions {
  readonly worldSize: number;
  /** Of these only; default: all. */
  readonly ranks?: readonly number[];
  readonly environment?: Variables | ((rank: number) => Variables);
  /** Called with each line of stdout. */
  readonly onLine?: (rank: number, line: string, child: ChildProcess) => void;
  /** Before the program, such as `ip netns exec one`. */
  readonly before?: (rank: number) => readonly string[];
  readonly address?: { host: string; port: number };
}

export const programOf = (name: string): string =>
  fileURLToPath(new URL(`ranks/${name}.mjs`, import.meta.url));

/** Runs a program once a rank, with what torchrun would say in the environment. */
export async function ranks(
  name: string,
  args: readonly string[],
  { worldSize, ranks = Array.from({ length: worldSize }, (_, rank) => rank), ...options }: RanksOptions,
): Promise<RankOutcome[]> {
  const { environment } = options;
  const own = (rank: number) => (typeof environment === "function" ? environment(rank) : environment);
  const { host, port } = options.address ?? { host: "127.0.0.1", port: await freePort() };
  return Promise.all(
    ranks.map((rank) => {
      const command = [...(options.before?.(rank) ?? []), process.execPath, programOf(name), ...args];
      const child = spawn(command[0] as string, command.slice(1), {
        env: {
          ...process.env,
          MEDMAMBA_THREADS: "1",
          MEDMAMBA_JOB_TOKEN: "test",
          RANK: String(rank),
          LOCAL_RANK: String(rank),
          WORLD_SIZE: String(worldSize),
          MASTER_ADDR: host,
          MASTER_PORT: String(port),
          ...own(rank),
        },
      });
      const lines: string[] = [];
      let stderr = "";
      createInterface(child.stdout).on("line", (line) => {
        lines.push(line);
        options.onLine?.(rank, line, child);
      });
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr += text;
      });
      return new Promise<RankOutcome>((resolve, reject) => {
        child.on("error", reject);
        child.on("close", (code, signal) =>
          resolve({ rank, code, signal, lines, stderr, at: performance.now() }),
        );
      });
    }),
  );
}
