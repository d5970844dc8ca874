import { Transient } from '#libs/kernel/src/errors.js';

/** SQLSTATE classes that say "not now": connection, resources, rolled back, operator, system, read-only standby. */
const PASSING = /^(08|40|53|57|58|25006|55P03)/;

/** The SQLSTATE, if PostgreSQL itself answered with an error: the codes of sockets (`EPIPE`) may look like one. */
function sqlStateOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('severity' in error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Whether the same call may succeed later. What did not come from PostgreSQL says that the way there is broken. */
export function isPassing(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === undefined ? isNetwork(error) : PASSING.test(state);
}

/** A programming mistake is none of the network's business: it must surface, not be tried again. */
const isNetwork = (error: unknown): boolean =>
  !(error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError);

/** As the port has it. The cause's text may name a host but never holds the password. */
export const unavailable = (cause: unknown): Transient =>
  cause instanceof Transient
    ? cause
    : new Transient('log.unavailable', 'The database of the log does not answer. Try again in a moment.', cause);

export const closed = (): Transient => new Transient('log.closed', 'The log is closed: this process is shutting down.');
