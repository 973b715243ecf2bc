/**
 * As much of vitest as test/models/golden.test.ts asks for, for runtimes that have none: tests run one after another as the file
 * is imported, and `finish` says what came of them.
 */

type Body = (...values: never[]) => unknown;
type Row = readonly unknown[] | string;

const tests: { name: string; body: () => unknown }[] = [];
const groups: string[] = [];
let after: (() => unknown)[] = [];

const valuesOf = (row: Row): readonly unknown[] => (typeof row === "string" ? [row] : row);
const titled = (title: string, row: Row) => title.replace("%s", String(valuesOf(row)[0]));

export const describe = {
  each: (rows: readonly Row[]) => (title: string, body: Body) => {
    for (const row of rows) {
      groups.push(titled(title, row));
      const outer = after;
      after = [];
      body(...(valuesOf(row) as never[]));
      after = outer;
      groups.pop();
    }
  },
};

export const it = {
  each: (rows: readonly Row[]) => (title: string, body: Body) => {
    for (const row of rows) {
      const own = after;
      const name = [...groups, titled(title, row)].join(": ");
      const run = async () => {
        await body(...(valuesOf(row) as never[]));
        for (const each of own) await each();
      };
      tests.push({ name, body: run });
    }
  },
};

export function afterEach(body: () => unknown): void {
  after.push(body);
}

/** What was compared, so that a run in which nothing was is no success. */
let comparisons = 0;

export function expect(actual: unknown, words = "a result") {
  const require = (holds: boolean, wanted: unknown) => {
    comparisons += 1;
    if (!holds) throw new Error(`${words}: ${String(actual)} instead of ${String(wanted)}`);
  };
  const sorted = (value: unknown) => JSON.stringify(value instanceof Set ? [...value].sort() : value);
  return {
    toBe: (wanted: unknown) => require(Object.is(actual, wanted), wanted),
    toBeTruthy: () => require(Boolean(actual), "something"),
    toEqual: (wanted: unknown) => require(sorted(actual) === sorted(wanted), sorted(wanted)),
    toHaveLength: (wanted: number) => require((actual as ArrayLike<unknown>).length === wanted, wanted),
  };
}

/** Runs all tests, and prints "N passed, N failed, N comparisons" last. */
export async function finish(): Promise<void> {
  let passed = 0;
  for (const { name, body } of tests) {
    try {
      await body();
      passed += 1;
    } catch (error) {
      console.log(`FAILED ${name}: ${(error as Error).message}`);
    }
  }
  console.log(`${passed} passed, ${tests.length - passed} failed, ${comparisons} comparisons`);
}
