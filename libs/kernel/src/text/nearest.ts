/** The name that was probably meant: at most a third of it is wrong, or words are left out or added (`attempts` for `maxAttempts`). */
export const nearest = (given: string, names: readonly string[]): string | undefined =>
  misspelt(given, names) ?? withOtherWords(given, names);

function misspelt(given: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(given.length / 3)) + 1;
  for (const name of names) {
    const wrong = given.toLowerCase() === name.toLowerCase() ? 0 : distance(given, name, least);
    if (wrong < least) [best, least] = [name, wrong];
  }
  return best;
}

/** The shortest name that begins or ends with the words that were given, or whose words begin or end these. */
function withOtherWords(given: string, names: readonly string[]): string | undefined {
  if (given.length > MAX_LENGTH) return undefined;
  const words = wordsOf(given);
  return names
    .filter((name) => {
      const others = wordsOf(name);
      const [few, many] = words.length < others.length ? [words, others] : [others, words];
      const text = few.join(' ');
      return (
        few.length > 0 && (many.slice(0, few.length).join(' ') === text || many.slice(-few.length).join(' ') === text)
      );
    })
    .sort((a, b) => a.length - b.length)[0];
}

/** `maxAttempts`, `max_attempts` and `max-attempts` are the words max and attempts. */
const wordsOf = (name: string): readonly string[] =>
  name
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z\d]+/)
    .filter((word) => word !== '');

const MAX_LENGTH = 64;

/** Insertions, deletions, replacements and swaps of neighbours, up to `most`. */
function distance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) >= most || a.length > MAX_LENGTH) return most;
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
