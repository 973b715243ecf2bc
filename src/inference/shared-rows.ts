/** What several processes predict of one data set, each its part, brought together on all of them. */
import { packList, unpackList } from "../distributed/frames.js";
import { Group } from "../distributed/group.js";
import { ArgumentError } from "../errors.js";
import { inWords } from "../settings/given.js";

/** @throws ArgumentError unless it is a group, or nothing */
export function expectGroup(operation: string, group: unknown): void {
  if (group === undefined || group instanceof Group) return;
  throw new ArgumentError(
    `${operation}: group has to be what distributed.init gives, but is ${inWords(group)}.`,
  );
}

/**
 * Runs `body`, and tells the other processes if it fails: they would wait for this one.
 *
 * @param signal  whose being aborted is no fault
 */
export async function tellingOthers<T>(
  group: Group | undefined,
  signal: AbortSignal | undefined,
  body: () => Promise<T>,
): Promise<T> {
  try {
    return await body();
  } catch (error) {
    group?.fail(error, { stopped: signal?.aborted === true });
    throw error;
  }
}

/**
 * Completes a table of which each process has some rows.
 *
 * @param table  (rows, any width) the rows of others are overwritten
 * @param own    the rows of this process
 * @param rows   of the table
 */
export async function shareRows(
  group: Group | undefined,
  table: Float32Array | Float64Array,
  own: readonly number[],
  rows: number,
): Promise<void> {
  if (!group || group.isAlone || rows === 0) return;
  const width = table.BYTES_PER_ELEMENT * (table.length / rows);
  const bytes = new Uint8Array(table.buffer, table.byteOffset, table.byteLength);
  const found = new Uint8Array(own.length * width);
  for (const [at, row] of own.entries())
    found.set(bytes.subarray(row * width, (row + 1) * width), at * width);
  const numbers = new Uint8Array(Int32Array.from(own).buffer);
  for (const part of await group.gatherBytes("rows", packList([numbers, found]))) {
    const [its, values] = unpackList(part) as [Uint8Array, Uint8Array];
    for (const [at, row] of new Int32Array(Uint8Array.from(its).buffer).entries())
      bytes.set(values.subarray(at * width, (at + 1) * width), row * width);
  }
}
