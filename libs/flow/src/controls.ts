/** At most `limit` matches in `perMs` for each key. */
export interface Throttle {
  readonly limit: number;
  readonly per: string;
  readonly perMs: number;
}

/** Of matches with the same key that follow each other within `quietMs` one alone. */
export interface BurstControl {
  /** Of `once` the first, of `debounce` the last. */
  readonly kind: 'once' | 'debounce';
  readonly quiet: string;
  readonly quietMs: number;
  /** A burst of `debounce` ends so long after its first match, whatever comes. */
  readonly maxWaitMs: number;
}

/** So many matches with the same key together, or those that came in `timeoutMs`. */
export interface Batch {
  readonly size: number;
  readonly timeout: string;
  readonly timeoutMs: number;
}
