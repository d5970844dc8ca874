/** An input that brought about what none may. `--target … --seed <seed> --inputs 1` gives the same input again. */
export interface Failure {
  readonly seed: number;
  readonly what: string;
}

export interface TargetResult {
  readonly target: string;
  readonly inputs: number;
  readonly seconds: number;
  /** How often each thing became of an input: a refusal's code, a status. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly failures: readonly Failure[];
  readonly p50Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

export interface TargetOptions {
  readonly inputs: number;
  readonly seed: number;
  /** An input that takes longer hangs. */
  readonly patienceMs: number;
  /** 999 of 1000 inputs must end within this time. Left out where there are too few inputs to tell slow from a busy machine. */
  readonly slowMs?: number;
}

/** What a thread is given. */
export interface ProviderWork {
  /** Module that exports `targets()`. */
  readonly corpus: string;
  readonly target: string;
  readonly seed: number;
  readonly inputs: number;
  readonly first: number;
  /** The number of the input that is under way. */
  readonly at: Int32Array;
}

/** Puts a result together and looks whether it was quick enough. */
export function resultOf(
  target: string,
  { inputs, slowMs, seed }: TargetOptions,
  seconds: number,
  outcomes: Readonly<Record<string, number>>,
  found: readonly Failure[],
  times: Float64Array,
): TargetResult {
  const sorted = Float64Array.from(times).sort();
  const quantile = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  const p999Ms = quantile(0.999);
  const slow: Failure[] =
    slowMs === undefined || p999Ms <= slowMs
      ? []
      : [
          {
            seed: seed + times.indexOf(sorted.at(-1)!),
            what: `slow: p99.9 is ${p999Ms.toFixed(0)} ms, not ${slowMs} or less`,
          },
        ];
  return {
    target,
    inputs,
    seconds,
    outcomes,
    failures: [...found, ...slow],
    p50Ms: quantile(0.5),
    p999Ms,
    maxMs: sorted.at(-1) ?? 0,
  };
}
