// The results of `npm run bench:peers` as tables: medians over runs, and how far the runs lie apart.
import { leastTime } from "../../dist/benchmark/limits.js";
import { backwardCost, both, forwardCost } from "../../dist/benchmark/work.js";
import { byteSize } from "../../dist/cli/console/wording.js";
import { threeDigits } from "../results-files.mjs";

/** The value below which `share` of the values lie, between neighbours by their distance. */
export function quantile(values, share = 0.5) {
  const sorted = values.toSorted((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return below + (above - below) * (place - Math.floor(place));
}

/** @param runs  for each run its units: "task/mode" to what was measured */
export function allTables(runs) {
  const limits = bestLimits(runs);
  return [
    ["MedMamba, images a second", networkTable(runs, limits)],
    ["Batch 1, a step at a time", latencyTable(runs)],
    ["Kernels", kernelTable(runs, limits)],
    ["The scan in four directions", scanTable(runs, limits)],
    ["Threads", threadTable(runs)],
  ].filter(([, table]) => table.length > 1);
}

/** What PyTorch could not do, each said once. */
export function failures(runs) {
  const lines = runs.flatMap((run) =>
    Object.entries(run).flatMap(([key, { peerError }]) =>
      peerError ? [`${key.replace("/", ", PyTorch ")}: ${peerError}.`] : [],
    ),
  );
  return [...new Set(lines)];
}

/**
 * What the machine has been seen to do at best, in any of the runs: what else runs on it can only hide that. Products are
 * those of the limits' own measurement and those beside the peer's, the peer's included.
 */
function bestLimits(runs) {
  const found = runs.flatMap((run) => run["limits/ours"]?.limits ?? []);
  if (found.length === 0) return null;
  const fields = Object.keys(found[0]);
  const best = Object.fromEntries(
    fields.map((field) => [field, Math.max(...found.map((one) => one[field]))]),
  );
  const rates = runs.flatMap((run) => {
    const unit = run["product:1/eager"];
    if (!unit) return [];
    const { multiplyAdds } = unit.ours[0][0].cost;
    return [...unit.ours.flat(), ...(unit.peer ?? [])].map(({ seconds }) => multiplyAdds / seconds);
  });
  return { ...best, multiplyAdds: Math.max(best.multiplyAdds, ...rates) };
}

/** The median over runs of what `pick` finds in a run's unit, and half their range by it; null if nobody has it. */
export function over(runs, key, pick) {
  const values = runs.map((run) => run[key] && pick(run[key])).filter((value) => value !== undefined);
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return null;
  const value = quantile(known);
  return { value, spread: (Math.max(...known) - Math.min(...known)) / 2 / value };
}

export const number = (measured, form = threeDigits) => (measured ? form(measured.value) : "-");
export const spread = (measured) => (measured ? `${Math.round(100 * measured.spread)} %` : "-");
export const times = (value) => (Number.isFinite(value) ? `${value.toFixed(value < 10 ? 2 : 1)}x` : "-");
export const percent = (value) => (Number.isFinite(value) ? `${Math.round(100 * value)} %` : "-");
const inMilliseconds = (seconds) => threeDigits(1000 * seconds);
const milliseconds = ({ value }) => inMilliseconds(value);
const medianOf = (lists) => quantile(lists.flat());

// ---- networks ------------------------------------------------------------------------------------------------

function networkTable(runs, limits) {
  const heading = [
    ...["task:batch", "img/s", "+-", "eager", "+-", "compile", "by eager", "bf16", "autocast", "by autocast"],
    ...["peak", "eager", "by eager", "limit", "of limit"],
  ];
  const names = tasksOf(runs, /^(inference|training):/);
  return [heading, ...names.map((name) => networkRow(runs, name, limits))];
}

function networkRow(runs, name, limits) {
  const batch = Number(name.split(":")[1]);
  const [eager, compile, bf16] = ["eager", "compile", "bf16"].map((mode) => `${name}/${mode}`);
  const float32 = runs.map((run) => [eager, compile].flatMap((key) => run[key]?.ours ?? []));
  const rate = (lists) => (lists?.length > 0 ? batch / medianOf(lists) : null);
  const mine = over(
    float32.map((lists) => ({ lists })),
    "lists",
    rate,
  );
  const mineInBf16 = over(runs, bf16, ({ ours }) => rate(ours));
  const theirs = (key) => over(runs, key, ({ peer }) => (peer ? batch / quantile(peer.seconds) : null));
  const [inEager, compiled, autocast] = [eager, compile, bf16].map(theirs);
  const memory = over(runs, eager, ({ oursPeakBytes }) => oursPeakBytes);
  const peerMemory = over(runs, eager, ({ peer }) => peer?.peakBytes ?? null);
  const least = limits && leastSeconds(name, workOf(runs, [eager, compile, bf16]), batch, limits);
  return [
    ...[name, number(mine), spread(mine), number(inEager), spread(inEager), number(compiled)],
    times(mine?.value / inEager?.value),
    ...[number(mineInBf16), number(autocast), times(mineInBf16?.value / autocast?.value)],
    ...[number(memory, byteSize), number(peerMemory, byteSize)],
    peerMemory ? (memory.value / peerMemory.value).toFixed(2) : "-",
    ...(least ? [`${threeDigits(batch / least)} img/s`, percent((mine?.value * least) / batch)] : ["-", "-"]),
  ];
}

function workOf(runs, keys) {
  return runs.flatMap((run) => keys.flatMap((key) => run[key]?.work ?? []))[0];
}

function leastSeconds(name, work, batch, limits) {
  const forward = forwardCost(work, batch);
  const cost = name.startsWith("training") ? both(forward, backwardCost(work, batch)) : forward;
  return leastTime(cost, limits).seconds;
}

function latencyTable(runs) {
  const heading = ["side", "steps", "median, ms", "+-", "99 %, ms", "+-", "99 % by median"];
  const row = (side, key, samples) => {
    const of = (form) => over(runs, key, (unit) => (samples(unit) ? form(samples(unit)) : null));
    const [median, late] = [of((seconds) => quantile(seconds)), of((seconds) => quantile(seconds, 0.99))];
    const ratio = of((seconds) => quantile(seconds, 0.99) / quantile(seconds));
    const steps = runs.flatMap((run) => (run[key] && samples(run[key])) ?? []).length;
    const [ofMedian, ofLate] = [median, late].map((one) => [number(one, inMilliseconds), spread(one)]);
    return [side, String(steps), ...ofMedian, ...ofLate, number(ratio, times)];
  };
  const key = "inference:1/eager";
  if (!runs.some((run) => run[key])) return [heading];
  const team = ({ teams }) => teams.at(-1);
  const threads = runs.map((run) => run["threads/ours"]).find(Boolean);
  return [
    heading,
    row("medmamba", key, ({ ours }) => ours.flat()),
    row("PyTorch, eager", key, ({ peer }) => peer?.seconds ?? null),
    ...(threads
      ? [
          row(
            `bare multiply-adds, ${team(threads).threads} threads`,
            "threads/ours",
            (unit) => team(unit).windows,
          ),
        ]
      : []),
  ];
}

// ---- kernels -------------------------------------------------------------------------------------------------

function kernelTable(runs, limits) {
  const heading = ["kernel", "shape", "batch", "ms", "+-", "PyTorch", "+-", "ratio", "limit", "of limit"];
  return [
    heading,
    ...tasksOf(runs, /^(product|conv3x3|linear|layer_norm):/).flatMap((task) =>
      rowsOf(runs, `${task}/eager`).map((row) => {
        const [mine, theirs] = [ourTime(runs, `${task}/eager`, row), peerTime(runs, `${task}/eager`, row)];
        const least = limits && leastTime(row.cost, limits).seconds;
        return [
          ...[row.name, row.shape, task.split(":")[1]],
          ...[number(mine, inMilliseconds), spread(mine)],
          ...[number(theirs, inMilliseconds), spread(theirs)],
          times(theirs?.value / mine.value),
          ...(least ? [threeDigits(1000 * least), percent(least / mine.value)] : ["-", "-"]),
        ];
      }),
    ),
  ];
}

function scanTable(runs, limits) {
  const heading = [
    ...["kernel", "shape", "ms", "+-", "chunked", "ratio", "loop", "ratio", "limit", "of limit"],
    "ns, one thread",
  ];
  const keys = ["scan:1/chunked", "scan:1/loop"];
  return [
    heading,
    ...rowsOf(runs, keys[0]).map((row) => {
      const mine = ourTime(runs, keys[0], row);
      const [chunked, loop] = keys.map((key) => peerTime(runs, key, row));
      const least = limits && leastTime(row.cost, limits).seconds;
      return [
        ...[row.name, row.shape, milliseconds(mine), spread(mine)],
        ...[chunked, loop].flatMap((one) => [number(one, inMilliseconds), times(one?.value / mine.value)]),
        ...(least ? [threeDigits(1000 * least), percent(least / mine.value)] : ["-", "-"]),
        number(perStateStep(runs, row), (value) => value.toFixed(3)),
      ];
    }),
  ];
}

/** Nanoseconds on one thread for each state and step of all directions, which is one exponential. */
function perStateStep(runs, { name, shape }) {
  return over(runs, "threads/ours", ({ teams }) => {
    const row = teams
      .find(({ threads }) => threads === 1)
      ?.scan.find((one) => one.name === name && one.shape === shape);
    if (!row) return null;
    const passes = name.endsWith("and backward") ? 2 : 1;
    return (1e9 * passes * row.seconds) / row.cost.exponentials;
  });
}

function tasksOf(runs, pattern) {
  const names = runs.flatMap((run) => Object.keys(run).map((key) => key.split("/")[0]));
  return [...new Set(names)].filter((name) => pattern.test(name));
}

function rowsOf(runs, key) {
  return runs.find((run) => run[key])?.[key].ours[0] ?? [];
}

const same = (row) => (other) => other.name === row.name && other.shape === row.shape;

function ourTime(runs, key, row) {
  return over(runs, key, ({ ours }) => quantile(ours.map((rows) => rows.find(same(row)).seconds)));
}

function peerTime(runs, key, row) {
  return over(runs, key, ({ peer }) => peer?.find(same(row))?.seconds ?? null);
}

// ---- threads -------------------------------------------------------------------------------------------------

function threadTable(runs) {
  const teams = runs.find((run) => run["threads/ours"])?.["threads/ours"].teams ?? [];
  const counts = teams.map(({ threads }) => threads);
  if (counts.length < 2) return [[]];
  const rates = [
    ["bare multiply-adds, GFLOP/s", ({ fma }) => 2e-9 * fma],
    ["product, GFLOP/s", ({ limits }) => 2e-9 * limits.multiplyAdds],
    ["exponentials, G/s", ({ limits }) => 1e-9 * limits.exponentials],
    ["copy, GB/s", ({ limits }) => 1e-9 * limits.bytes],
    ["inference, batch 8, img/s", ({ inference }) => 8 / quantile(inference)],
    ["training, batch 8, img/s", ({ training }) => 8 / quantile(training)],
  ];
  const last = counts.length - 1;
  return [
    ["threads", ...counts.map(String), `${counts[last]} by 1`],
    ...rates.map(([name, rate]) => {
      const cells = counts.map((_, i) => over(runs, "threads/ours", ({ teams }) => rate(teams[i])));
      return [name, ...cells.map((cell) => number(cell)), times(cells[last].value / cells[0].value)];
    }),
  ];
}
