/** The name that somebody may have meant by one that there is not. */

/**
 * The most similar of some names: the same letters in other cases or with other signs between, otherwise one that few letters
 * make it differ from.
 */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const letters = bare(name);
  const candidates = [...known].map((candidate) => ({
    candidate,
    distance: editDistance(bare(candidate), letters),
  }));
  const [best] = candidates.sort((a, b) => a.distance - b.distance);
  return best && best.distance <= Math.max(1, Math.floor(letters.length / 3)) ? best.candidate : undefined;
}

const bare = (name: string): string => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

/** Letters to add, remove, replace or swap with their neighbour to make one word of another. */
export function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; ++i) {
    const row = [i];
    for (let j = 1; j <= b.length; ++j) {
      const above = rows[i - 1] as number[];
      const replaced = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped =
        a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (rows[i - 2]?.[j - 2] ?? Infinity) + 1 : Infinity;
      row.push(Math.min(replaced, swapped, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    rows.push(row);
  }
  return rows[a.length]?.[b.length] ?? 0;
}
