export interface DiffLine {
  readonly kind: 'same' | 'removed' | 'added';
  readonly text: string;
  /** Places in the two texts, from 1; absent in the one that lacks the line. */
  readonly from?: number;
  readonly to?: number;
}

/** Beyond so many comparisons the lines in the middle are shown as replaced. */
const MAX_CELLS = 4_000_000;

/** The lines of two texts side by side: the longest common subsequence stays. Pure. */
export function lineDiff(before: string, after: string): readonly DiffLine[] {
  const [a, b] = [linesOf(before), linesOf(after)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const [width, height] = [b.length - end - start, a.length - end - start];
  const lines: DiffLine[] = [];
  let [i, j] = [0, 0];
  const same = (): void => void lines.push({ kind: 'same', text: a[i]!, from: ++i, to: ++j });
  while (i < start) same();
  const lengths =
    width * height > MAX_CELLS
      ? undefined
      : commonLengths(a.slice(start, start + height), b.slice(start, start + width));
  const left = (x: number, y: number): number => lengths?.[(x - start) * (width + 1) + y - start] ?? 0;
  while (i < start + height || j < start + width) {
    if (lengths && i < start + height && j < start + width && a[i] === b[j]) same();
    else if (j === start + width || (i < start + height && left(i + 1, j) >= left(i, j + 1)))
      lines.push({ kind: 'removed', text: a[i]!, from: ++i });
    else lines.push({ kind: 'added', text: b[j]!, to: ++j });
  }
  while (i < a.length) same();
  return lines;
}

/** For each pair of places how long the common subsequence of what follows is. */
function commonLengths(a: readonly string[], b: readonly string[]): Uint32Array {
  const width = b.length + 1;
  const lengths = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      lengths[i * width + j] =
        a[i] === b[j]
          ? lengths[(i + 1) * width + j + 1]! + 1
          : Math.max(lengths[(i + 1) * width + j]!, lengths[i * width + j + 1]!);
  return lengths;
}

const linesOf = (text: string): readonly string[] => text.replace(/\n$/, '').split('\n');
