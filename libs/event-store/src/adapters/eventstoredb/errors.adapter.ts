import { NotLeaderError } from '@eventstore/db-client';

import { Rejected, Transient, messageOf } from '#libs/kernel/src/errors.js';

/**
 * What a failed call means. `retry`: the outcome is unknown or nothing happened, the same call may succeed later;
 * with `reconnect` the connection itself is suspect and a fresh one must be made. `fatal`: no retry will help.
 */
export type Failure =
  | { readonly kind: 'retry'; readonly reconnect: boolean; readonly reason: string }
  | { readonly kind: 'fatal'; readonly error: Error };

/** Status codes of gRPC, by their numbers on the wire. */
export const CODES = {
  CANCELLED: 1,
  DEADLINE_EXCEEDED: 4,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  ABORTED: 10,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/** Connection-level: the same connection will not work again. */
const CONNECTION_CODES: ReadonlySet<unknown> = new Set([
  CODES.UNAVAILABLE,
  CODES.CANCELLED,
  CODES.INTERNAL,
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** The server is there and could not do it now. */
const PASSING_CODES: ReadonlySet<unknown> = new Set([CODES.DEADLINE_EXCEEDED, CODES.ABORTED, CODES.RESOURCE_EXHAUSTED]);

/**
 * The one place where message texts are matched, since the server and the client say these things in words only: a
 * node that starts or is overrun, a cluster without a leader, a channel that was closed under a call, and gossip that
 * found nobody.
 */
const PASSING_WORDS = /server is not ready|server is (too )?busy|no leader info available/i;
const CONNECTION_WORDS = /failed to discover after|write after end|channel has been shut down|channel closed/i;

export function classify(error: unknown): Failure {
  if (error instanceof LostCall) return { kind: 'retry', reconnect: error.why === 'silence', reason: error.message };
  const { code } = error as { code?: unknown };
  const reason = messageOf(error);
  // The client follows the leader by itself; the next call goes there.
  if (error instanceof NotLeaderError || exceptionOf(error) === 'not-leader')
    return { kind: 'retry', reconnect: false, reason: 'this node is not the leader' };
  if (PASSING_WORDS.test(reason)) return { kind: 'retry', reconnect: false, reason };
  if (CONNECTION_CODES.has(code) || CONNECTION_WORDS.test(reason)) return { kind: 'retry', reconnect: true, reason };
  if (PASSING_CODES.has(code)) return { kind: 'retry', reconnect: false, reason };
  if (code === CODES.UNAUTHENTICATED || code === CODES.PERMISSION_DENIED)
    return { kind: 'fatal', error: accessDenied(error) };
  return { kind: 'fatal', error: error instanceof Error ? error : new Error(reason) };
}

/**
 * Why a call ended without the server's word. `silence`: nothing came over the connection in time. `unanswered`: other
 * answers came, this one did not. `replaced`: the connection was given up because of another call. `ended`: by the
 * server without a status, or by closing.
 */
export type LostBecause = 'silence' | 'unanswered' | 'replaced' | 'ended';

export class LostCall extends Error {
  override readonly name = 'LostCall';
  constructor(
    readonly why: LostBecause,
    message: string,
  ) {
    super(message);
  }
}

export const unavailable = (reason: string): Transient =>
  new Transient(
    'log.unavailable',
    `EventStoreDB did not answer (${reason}). Nothing is lost: repeat the same append. Check that it runs and that EVENTSTORE_URL is its address.`,
  );

export const overloaded = (waiting: number): Transient =>
  new Transient('log.overloaded', `${waiting} appends are already waiting for EventStoreDB. Try again shortly.`);

export const closed = (): Transient => new Transient('log.closed', 'The log is closed: this process is shutting down.');

export const tooLargeForServer = (limit: number): Rejected =>
  new Rejected(
    'too_large',
    'log.append_too_large',
    `EventStoreDB accepts at most ${limit} bytes in one append (its MaxAppendSize). Split the append, or set MaxAppendSize of the server to 4194304.`,
  );

const accessDenied = (error: unknown): Error =>
  new Error('EventStoreDB refused the credentials of EVENTSTORE_URL, or they lack the permission.', { cause: error });

const exceptionOf = (error: unknown): string | undefined => {
  const { metadata } = error as { metadata?: { get?: (key: string) => unknown[] } };
  return metadata?.get?.('exception')[0]?.toString();
};
