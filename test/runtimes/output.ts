/** Programs of other systems and runtimes, and what they print. */
import { spawnSync } from "node:child_process";
import { repository } from "../support/repository.js";

/**
 * The standard output of a program that has to succeed, on the CPU alone.
 *
 * @param variables  of the environment, beside those of this process
 * @param folder  where it runs; default: the repository
 * @throws Error with all that it printed, if it did not succeed
 */
export function outputOf(
  command: string,
  args: readonly string[],
  variables: NodeJS.ProcessEnv = {},
  folder = repository,
): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: folder,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
    env: { ...process.env, NO_COLOR: "1", MEDMAMBA_TEST_CPU_ALONE: "1", ...variables },
  });
  if (status !== 0)
    throw new Error(`${command} ended with ${status}: ${error?.message ?? ""}\n${stdout}\n${stderr}`);
  return stdout;
}
