/** The name that was probably meant: at most a third of it is wrong. */
export function nearest(given: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(given.length / 3)) + 1;
  for (const name of names) {
    const wrong = given.toLowerCase() === name.toLowerCase() ? 0 : distance(given, name, least);
    if (wrong < least) [best, least] = [name, wrong];
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours, up to `most`. */
function distance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) >= most || a.length > 64) return most;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, before[j - 2]! + 1);
      row.push(least);
    }
    [before, previous] = [previous, row];
  }
  return previous[b.length]!;
}

/** `Did you mean "retry"? ` or nothing. */
export const suggestion = (given: string, names: readonly string[]): string => {
  const name = nearest(given, names);
  return name === undefined ? '' : `Did you mean "${name}"? `;
};
