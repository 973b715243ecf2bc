/** The name that somebody may have meant by one that there is not. */

/**
 * The most similar of some names: the same letters in other cases or with other signs between, otherwise one that few letters
 * make it differ from, or one of which the other is the beginning.
 */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const letters = bare(name.slice(0, longest));
  const candidates = [...known].flatMap((candidate) => {
    const others = bare(candidate);
    const distance = editDistance(others, letters);
    const similar = distance <= Math.max(1, Math.floor(letters.length / 3)) || begins(letters, others);
    return similar ? [{ candidate, distance }] : [];
  });
  return candidates.sort((a, b) => a.distance - b.distance)[0]?.candidate;
}

const longest = 64; // What is longer is no misspelt name.

/** "learningRate is no setting; did you mean lr?" */
export function unknownName(
  name: string,
  known: readonly string[],
  meant: string | undefined = nearest(name, known),
): string {
  const shown = name.length > longest ? `${name.slice(0, longest)}...` : name;
  if (meant !== undefined) return `${shown} is no setting; did you mean ${meant}?`;
  return `${shown} is no setting; ${known.length > 0 ? `settings are ${known.join(", ")}` : "there are none"}.`;
}

/** Whether one word is the beginning of the other, and no mere letter or two. */
function begins(a: string, b: string): boolean {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  return short.length > 2 && long.startsWith(short);
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
