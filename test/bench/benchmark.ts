/** `full` gives the figures that count, `quick` a first impression, `smoke` only checks that the benchmark works. */
export type Size = 'full' | 'quick' | 'smoke';

/** A line of the table. */
export interface Row {
  readonly figure: string;
  readonly value: string;
  readonly target?: string;
  readonly reached?: boolean;
}

export interface Report {
  readonly rows: readonly Row[];
  /** What the verify pass checked. */
  readonly verified: string;
  /** What the verify pass found wrong. Empty: it passed. */
  readonly faults: readonly string[];
  /** All figures, for the JSON file. */
  readonly result: unknown;
}

export interface BenchmarkOptions {
  readonly size: Size;
  /** Measure peers in the same run. They are installed on demand. */
  readonly peers: boolean;
  /** Senders for B1 (default: all). */
  readonly senders?: readonly string[];
  /** B1 only: the integration declares the personal fields that its provider lists. */
  readonly personal?: boolean;
}

export interface Benchmark {
  /** `B2` … */
  readonly id: string;
  readonly title: string;
  run(options: BenchmarkOptions): Promise<Report>;
}

export const say = (text: string): void => void process.stderr.write(`${text}\n`);

export const row = (figure: string, value: number | string, digits = 0): Row => ({
  figure,
  value: typeof value === 'number' ? value.toFixed(digits) : value,
});

export const atLeast = (figure: string, value: number, target: number, digits = 2): Row => ({
  figure,
  value: value.toFixed(digits),
  target: `≥ ${target}`,
  reached: value >= target,
});

export const atMost = (figure: string, value: number, target: number, digits = 0): Row => ({
  figure,
  value: value.toFixed(digits),
  target: `≤ ${target}`,
  reached: value <= target,
});

/** No rows for a baseline that was not measured. */
export const rowsIf = <T>(value: T | undefined, rows: (value: T) => readonly Row[]): readonly Row[] =>
  value === undefined ? [] : rows(value);

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** `part` from 0 to 1; `sorted` rises. */
export const percentile = (sorted: readonly number[], part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
