/** How long pauses between tries are, and how long they become. */
export interface Backoff {
  /** Milliseconds before the second try, at most. */
  readonly first: number;
  readonly max: number;
}

/** Milliseconds to wait after `tries` failed tries (1 or more): doubling up to `max`, of which a random half is kept. */
export function backoff(tries: number, { first, max }: Backoff, random: number = Math.random()): number {
  const ceiling = Math.min(max, first * 2 ** Math.min(tries - 1, 40));
  return Math.round(ceiling * (0.5 + random / 2));
}
