/** `doctor --distributed`: which engines a process finds, who started it, and how long ranks take to add up. */
import { describeEngines } from "../../distributed/engine.js";
import type { Group } from "../../distributed/group.js";
import { launchOf } from "../../distributed/launch.js";
import { ones } from "../../tensor/creation.js";
import type { Device } from "../../tensor/device.js";
import { CommandError } from "./failure.js";
import type { Terminal } from "./terminal.js";
import { columns, decimals } from "./wording.js";

/** Values of the sums that are timed: some, and about the gradients of the model "tiny". */
const sizes = [1000, 14_400_000];
const repeats = 5;

/** @throws CommandError if a sum is not what it should be */
export async function checkDistributed(
  group: Group | undefined,
  device: Device,
  terminal: Terminal,
): Promise<void> {
  const engines = describeEngines(device);
  const launch = launchOf();
  const rows = [
    ...engines.map((engine) => [
      engine.name,
      engine.library === undefined ? `not usable: ${engine.reason}` : `${engine.version} (${engine.library})`,
    ]),
    [
      "started by",
      launch
        ? `${launch.launcher}, as rank ${launch.rank} of ${launch.worldSize}`
        : "nobody, as one of several",
    ],
  ];
  for (const line of columns(rows, { left: true, longest: 100 })) terminal.print(line);
  const sums = group ? await timeSums(group, device) : [];
  for (const { values, milliseconds } of sums)
    terminal.print(
      `a sum of ${values} values over ${group?.worldSize} ranks: ${decimals(milliseconds, 2)} ms`,
    );
  if (group) {
    const { engine, engineVersion, reduction } = group.carriage;
    terminal.print(
      `by ${engineVersion ?? engine}, added in ${reduction === "engine" ? "its own" : "rank"} order`,
    );
    if (engine === "tcp")
      terminal.warn(
        "bytes pass through rank 0, as no engine is there on all ranks: install one for more than a try.",
      );
  } else terminal.print("Started by a launcher (torchrun, srun, mpirun), this also times a sum over ranks.");
  terminal.result({ engines, launch: launch ?? null, carriage: group?.carriage ?? null, sums });
}

/** The shortest of some, of each size. */
async function timeSums(group: Group, device: Device): Promise<{ values: number; milliseconds: number }[]> {
  const found: { values: number; milliseconds: number }[] = [];
  for (const values of sizes) {
    let best = Number.POSITIVE_INFINITY;
    for (let repeat = 0; repeat < repeats; repeat++) {
      const tensor = ones([values], { device });
      try {
        await device.synchronize();
        await group.barrier();
        const start = performance.now();
        await group.sum(tensor);
        await device.synchronize();
        best = Math.min(best, performance.now() - start);
        const sum = (await tensor.data())[values - 1];
        if (sum !== group.worldSize)
          throw new CommandError(
            `a sum of ones over ${group.worldSize} ranks was ${sum}: the engine does not work here.`,
          );
      } finally {
        tensor.dispose();
      }
    }
    found.push({ values, milliseconds: best });
  }
  return found;
}
