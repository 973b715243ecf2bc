// A long measurement in units that are kept as they come: the same command goes on where the one before ended, whatever
// ended it, and may be told to end in time by itself.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** A process's exit code when there is more to measure: EX_TEMPFAIL. */
export const unfinished = 75;

/**
 * @param file      where units are kept between commands
 * @param settings  what decides whether numbers belong into one table
 * @param fresh     forget what is kept
 * @throws Error if what is kept has other settings
 */
export function openRuns(file, settings, machine, fresh) {
  if (fresh) rmSync(file, { force: true });
  if (!existsSync(file)) return { file, settings, machine, runs: [] };
  const kept = JSON.parse(readFileSync(file, "utf8"));
  const different = Object.keys(settings).filter((field) => kept.settings[field] !== settings[field]);
  if (different.length === 0) return { ...kept, file };
  throw new Error(`${file} was measured with another ${different.join(", ")}: --fresh forgets it`);
}

/**
 * Measures what is not there yet, every unit of a run before the next run.
 *
 * @param units     `{ key, once, expected, measure }`: `once` for the first run only, `expected` seconds until one of
 *                  the key has been measured
 * @param minutes   from now; a unit that would take longer is not begun
 * @returns         the number of units that are left
 */
export async function measureRuns(state, units, { runs, minutes }) {
  const begin = performance.now();
  let left = 0;
  for (let run = 0; run < runs; ++run) {
    state.runs[run] ??= {};
    for (const { key, once = false, expected, measure } of units) {
      if (state.runs[run][key] || (once && run > 0)) continue;
      const took = state.runs.flatMap((one) => one?.[key]?.took ?? []);
      const seconds = took.length > 0 ? 1.2 * Math.max(...took) : expected;
      if (left > 0 || performance.now() - begin + 1000 * seconds > 60_000 * minutes) {
        left += 1;
        continue;
      }
      const start = performance.now();
      const unit = await measure();
      state.runs[run][key] = { ...unit, took: (performance.now() - start) / 1000 };
      console.log(`run ${run + 1}, ${key}: ${state.runs[run][key].took.toFixed(0)} s`);
      mkdirSync(dirname(state.file), { recursive: true });
      writeFileSync(state.file, JSON.stringify(state));
    }
  }
  return left;
}
