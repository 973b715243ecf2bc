/**
 * node process.mjs SEED SECONDS FOLDER [TARGET]: damages files and has them read, one after the other, until the time is over.
 * Prints a JSON object: how many were read, and how many refused with which error. Each file is written before it is read, so
 * that one that ends or hangs this process is left in FOLDER. Ends with 1 at the first fault, which it prints.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CommandError, UsageError } from "../../dist/cli/console/failure.js";
import { MedMambaError } from "../../dist/index.js";
import { Dice, mutate } from "./mutations.mjs";
import { makeTargets } from "./targets.mjs";

const [seed, seconds, folder, only] = process.argv.slice(2);
const mostSecondsOfOne = 5;
const mostBytes = 1.5e9;

const targets = Object.entries(await makeTargets(folder)).filter(([name]) => !only || name === only);
for (const [name, { file, original, read }] of targets) {
  writeFileSync(join(folder, file), original);
  await read(join(folder, file)).catch((error) => {
    if (name !== "training") throw new Error(`${name}: the sound file is refused`, { cause: error });
  });
}

const counts = {};
const begun = performance.now();
const expected = (error) =>
  error instanceof MedMambaError || error instanceof UsageError || error instanceof CommandError;
process.on("uncaughtException", (error) => fault("an error outside of the promise", error));

let current = "";
for (let round = 0; performance.now() - begun < Number(seconds) * 1000; ++round) {
  const [name, { file, original, read }] = targets[round % targets.length];
  current = `${name}, seed ${seed}, round ${round}`;
  const path = join(folder, file);
  writeFileSync(path, mutate(original, new Dice(Number(seed) * 1e6 + round)));
  process.send?.(current);
  const started = performance.now();
  const outcome = await read(path).then(
    () => "read",
    (error) => (expected(error) ? error.name : fault("an error that is none of the package's", error)),
  );
  if (performance.now() - started > mostSecondsOfOne * 1000)
    fault(`it took ${Math.round((performance.now() - started) / 1000)} s`);
  if (process.resourceUsage().maxRSS * 1024 > mostBytes)
    fault(`the process has grown to ${process.resourceUsage().maxRSS} kB`);
  counts[name] ??= {};
  counts[name][outcome] = (counts[name][outcome] ?? 0) + 1;
}
console.log(JSON.stringify(counts));
process.exit(0);

function fault(what, error) {
  console.error(`${current}: ${what}; the file is in ${folder}\n${error?.stack ?? error ?? ""}`);
  process.exit(1);
}
