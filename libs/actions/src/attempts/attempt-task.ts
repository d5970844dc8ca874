import type { Uuid } from '#libs/kernel/src/ids.js';

/** Each action has a queue of its own: a process without its plug-in never takes one, and one that is slow delays no other. */
export const queueOf = (action: string): string => `actions.run.${action}`;
export const MESSAGES = 'actions.messages';
export const TRACKERS = 'actions.trackers';

/** What a worker needs for one attempt. The key of its row is the request's UUID. */
export interface AttemptTask {
  /** Of the event that requests it. */
  readonly request: Uuid;
  /** Where the log keeps it. */
  readonly stream: string;
  readonly revision: string;
  /** 1 for the first. */
  readonly attempt: number;
}

/** Revision of the stream of outcomes before this attempt's, where an attempt is one event. */
export const revisionBefore = (attempt: number): bigint | 'no-stream' =>
  attempt === 1 ? 'no-stream' : BigInt(attempt - 2);
