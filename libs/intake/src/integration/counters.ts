import type { RefusalReason } from '#libs/plugin-sdk/src/define-provider.js';

/** Why requests are counted as refused, per integration. */
export type CountedReason =
  | RefusalReason
  | 'too_large'
  | 'source_address'
  | 'rate_limited'
  | 'unsupported_type'
  | 'malformed'
  | 'not_inbound'
  | 'failed';

/** What is counted of an integration's requests. */
export type Counter =
  /** Stored, and for the first time. */
  | 'received'
  /** Repeats, answered with the ids of the first time. */
  | 'duplicates'
  /** Requests that the sender marked as a retry. */
  | 'retries'
  /** With which the sender checked the address. */
  | 'handshakes'
  | `refused.${CountedReason}`;

export interface CounterChange {
  readonly integrationId: string;
  readonly counter: Counter;
  readonly count: number;
  /** Of the newest one. */
  readonly at: Date;
}

/**
 * Counts in memory; what has come together is written down about once a second. A process that is killed takes at most
 * that second of its counts with it: they tell how an integration is doing, the log tells what happened.
 */
export class Counters {
  private changes = new Map<string, { integrationId: string; counter: Counter; count: number; at: number }>();

  count(integrationId: string, counter: Counter, now: number): void {
    const key = `${integrationId} ${counter}`;
    const change = this.changes.get(key);
    if (change) {
      change.count++;
      change.at = Math.max(change.at, now);
    } else this.changes.set(key, { integrationId, counter, count: 1, at: now });
  }

  /** What has been counted since the last time. */
  take(): readonly CounterChange[] {
    if (this.changes.size === 0) return [];
    const taken = [...this.changes.values()].map((change) => ({ ...change, at: new Date(change.at) }));
    this.changes = new Map();
    return taken;
  }

  /** Puts back what could not be written. */
  giveBack(changes: readonly CounterChange[]): void {
    for (const { integrationId, counter, count, at } of changes) {
      this.count(integrationId, counter, at.getTime());
      this.changes.get(`${integrationId} ${counter}`)!.count += count - 1;
    }
  }
}
