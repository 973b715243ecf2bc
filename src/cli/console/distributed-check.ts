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
const sizes = [10_000, 14_400_000];
/** Times that a sum is timed, and milliseconds after which no more. */
const repeats = 5;
const enough = 1000;
/** Seconds that a sum may take, going by the one before, to be worth waiting for. */
const mostSeconds = 5;

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
  for (const { values, milliseconds } of sums) {
    const time =
      milliseconds === null ? "left out, as it would take too long" : `${decimals(milliseconds, 2)} ms`;
    terminal.print(`a sum of ${values} values over ${group?.worldSize} ranks: ${time}`);
  }
  if (group) {
    const { engine, engineVersion, reduction } = group.carriage;
    terminal.print(
      `by ${carrierWords(engine, engineVersion)}, added in ${reduction === "engine" ? "its own" : "rank"} order`,
    );
    if (engine === "tcp")
      terminal.warn(
        "bytes pass through rank 0, as no engine is there on all ranks: install one for more than a try.",
      );
  } else terminal.print("Started by a launcher (torchrun, srun, mpirun), this also times a sum over ranks.");
  terminal.result({ engines, launch: launch ?? null, carriage: group?.carriage ?? null, sums });
}

/** "NCCL 2.30.7", "Open MPI 4.1.4" */
function carrierWords(engine: string | null, version: string | null): string {
  if (engine === "nccl") return `NCCL ${version}`;
  return version ?? "TCP, through rank 0";
}

interface TimedSum {
  readonly values: number;
  /** Null where it was left out. */
  readonly milliseconds: number | null;
}

/** The shortest of some, of each size. */
async function timeSums(group: Group, device: Device): Promise<TimedSum[]> {
  const found: TimedSum[] = [];
  let each = 0; // Milliseconds of a value, as the size before had them.
  for (const values of sizes) {
    // All ranks have to do the same: what rank 0 has measured counts.
    const [isTooSlow] = await group.gather(each * values > 1000 * mostSeconds);
    const milliseconds = isTooSlow ? null : await timeSum(group, device, values);
    found.push({ values, milliseconds });
    each = (milliseconds ?? 0) / values;
  }
  return found;
}

/** @returns milliseconds */
async function timeSum(group: Group, device: Device, values: number): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  let spent = 0;
  for (let repeat = 0; repeat < repeats; repeat++) {
    const [isEnough] = await group.gather(spent > enough);
    if (isEnough) break;
    const tensor = ones([values], { device });
    try {
      await device.synchronize();
      await group.barrier();
      const start = performance.now();
      await group.sum(tensor);
      await device.synchronize();
      const milliseconds = performance.now() - start;
      best = Math.min(best, milliseconds);
      spent += milliseconds;
      const sum = (await tensor.data())[values - 1];
      if (sum !== group.worldSize)
        throw new CommandError(
          `a sum of ones over ${group.worldSize} ranks was ${sum}: the engine does not work here.`,
        );
    } finally {
      tensor.dispose();
    }
  }
  return best;
}
