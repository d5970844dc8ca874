import { timeAfter } from '#libs/kernel/src/time/times.js';

/** A secret that was replaced and is accepted, or signed with, a while longer. */
export interface PreviousSecret {
  /** Reference. */
  readonly secret: string;
  /** RFC 3339 UTC. */
  readonly validUntil: string;
}

/** Those that are in their time of grace now. */
export const inGrace = (previous: readonly PreviousSecret[], now: Date): readonly PreviousSecret[] =>
  previous.filter(({ validUntil }) => new Date(validUntil) > now);

/**
 * What is left of earlier secrets when a new one takes the place of `current`: that one for `graceSeconds`, and those whose
 * grace is not over, the newest first, at most `most`. Without grace none is left: a secret that somebody else may know is
 * not the only one that they may know. Pure.
 */
export function afterRotation(
  { current, previous }: { readonly current: string | undefined; readonly previous: readonly PreviousSecret[] },
  graceSeconds: number,
  now: Date,
  most: number,
): PreviousSecret[] {
  if (graceSeconds === 0) return [];
  const validUntil = timeAfter(now, graceSeconds * 1000).toISOString();
  const replaced = current === undefined ? [] : [{ secret: current, validUntil }];
  return [...replaced, ...inGrace(previous, now)].slice(0, most);
}
