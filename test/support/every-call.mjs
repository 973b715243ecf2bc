/**
 * Calls functions with every wrong kind of value for each argument, in a process of its own: the last line on standard error
 * names the call that is made, so that a crash names its cause. Prints what went wrong as JSON.
 *
 *     node every-call.mjs operations     the table calls/operations.mjs
 *
 * A table has for each name what is called, a function that gives arguments that go, and what goes besides: `takes` lists
 * kinds of values by place ("2.lr", "*" for all), `open` the objects that may have other names than those given, and
 * `unused` the places that are not looked at.
 */
import { mkdtempSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as mm from "../../dist/index.js";

const [, , table] = process.argv;
const folder = mkdtempSync(join(tmpdir(), "medmamba-calls-"));
process.chdir(folder);
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const { calls } = await import(new URL(`calls/${table}.mjs`, import.meta.url).href);
const other = mm.openDevice("cpu", { threads: 1 });

/** Never what is wanted, whatever the argument. */
const wrong = {
  null: () => null,
  text: () => "3",
  number: () => 0.5,
  NaN: () => Number.NaN,
  negative: () => -7,
  object: () => ({}),
  list: () => ["a", null],
  symbol: () => Symbol("s"),
  bigint: () => 3n,
  function: () => () => 1,
  "sparse array": () => new Array(2 ** 32 - 1),
};
/** Of a tensor. */
const wrongTensors = {
  "other dtype": (x) => mm.zeros(x.shape, { dtype: x.dtype === "uint8" ? "int64" : "uint8" }),
  "other shape": () => mm.ones([7, 1, 2]),
  "no elements": () => mm.ones([0]),
  "other device": (x) => x.to(other),
  disposed: (x) => {
    const gone = x.clone();
    gone.dispose();
    return gone;
  },
};

/** The kinds among `wrong` that may be right in the place of a value. */
function kindsLike(value) {
  if (value instanceof mm.Tensor) return [];
  if (typeof value === "number") return ["number", "negative"];
  if (typeof value === "string") return ["text"];
  if (typeof value === "function") return ["function"];
  return isOptions(value) ? ["object"] : [];
}

const isOptions = (value) =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** Every place in the arguments that a value stands in, down through lists and objects of named ones. */
function* places(value, path = []) {
  if (path.length > 0) yield [path, value];
  if (!Array.isArray(value) && !isOptions(value)) return;
  for (const key of Object.keys(value))
    if (value[key] !== undefined) yield* places(value[key], [...path, key]);
}

function replaced(value, [key, ...rest], by) {
  const copy = Array.isArray(value) ? [...value] : { ...value };
  copy[key] = rest.length > 0 ? replaced(copy[key], rest, by) : by;
  return copy;
}

const never = /$^/;
const problems = [];
let made = 0;

/** A call, whose promise or stream is waited for. */
async function run(call, args) {
  const result = mm.tidy(() => {
    const given = call(...args);
    return { waitsFor: () => given };
  });
  const waited = result.waitsFor();
  if (waited?.[Symbol.asyncIterator]) for await (const _ of waited);
  else if (typeof waited?.then === "function") await waited;
}

async function attempt(name, call, args, what, mustThrow) {
  const label = `${name}(${what})`;
  writeSync(2, `${label}\n`);
  made += 1;
  try {
    await run(call, args);
    if (mustThrow) problems.push(`${label}: taken`);
  } catch (error) {
    if (!(error instanceof mm.MedMambaError)) problems.push(`${label}: ${error?.stack ?? error}`);
  }
}

for (const [name, [call, valid, { takes = {}, open = never, unused = never } = {}]] of Object.entries(
  calls,
)) {
  await run(call, valid());
  for (const [path, value] of places(valid())) {
    const place = path.join(".");
    const goes = [...kindsLike(value), ...(takes[place] ?? takes["*"] ?? [])];
    const isTensor = value instanceof mm.Tensor;
    for (const [kind, make] of Object.entries({ ...wrong, ...(isTensor && wrongTensors) })) {
      const loose = isTensor && kind in wrongTensors && !["disposed", "other dtype"].includes(kind);
      const mustThrow = !loose && !goes.includes(kind) && !unused.test(place);
      const by = make(value);
      await attempt(name, call, replaced(valid(), path, by), `${place} = ${kind}`, mustThrow);
    }
    if (!isOptions(value) || open.test(place)) continue;
    const more = replaced(valid(), path, { ...value, zzz: 1 });
    await attempt(name, call, more, `${place}.zzz`, true);
  }
  await mm
    .ones([1])
    .device.synchronize()
    .catch((error) => {
      if (!(error instanceof mm.MedMambaError))
        problems.push(`${name}, waited for: ${error?.stack ?? error}`);
    });
}
console.log(JSON.stringify({ made, problems, tried: Object.keys(calls) }));
process.exit(0);
