import { Transient } from '#libs/kernel/src/errors.js';

import { PipelineError } from './transaction/pipeline.adapter.js';

/**
 * SQLSTATE classes and codes after which the same statement may succeed later: connection lost, resources exhausted
 * (disk full among them), server shutting down or starting, conflicts that a new transaction resolves.
 */
const PASSING = /^(08...|53...|57P..|57014|40001|40P01|55P03|55006|25006|25P03|58030)$/;

const SOCKET_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** `pg` gives lost connections no code: the one place where their words are matched. */
const LOST =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Client was closed|Cannot use a pool after calling end|Called end on pool)/;

/** What the database threw, as `Transient` `database.unavailable` where trying again makes sense; else unchanged. */
export function databaseError(error: unknown): unknown {
  if (error instanceof Transient) return error;
  const inner = driverError(error);
  const { code, message, syscall } = (inner ?? {}) as { code?: unknown; message?: unknown; syscall?: unknown };
  const passing =
    (typeof code === 'string' && (PASSING.test(code) || SOCKET_CODES.has(code))) ||
    // The socket of a PostgreSQL that is not running.
    (code === 'ENOENT' && syscall === 'connect') ||
    (typeof message === 'string' && LOST.test(message));
  if (!passing) return error;
  const words = typeof message === 'string' && message !== '' ? message : String(code);
  return new Transient('database.unavailable', `The database cannot be used now (${words}).`, error);
}

/** Whether the database refused the values themselves: no column holds them. */
export function isOfValues(error: unknown): boolean {
  const inner = driverError(error);
  const { code } = (inner ?? {}) as { code?: unknown };
  return typeof code === 'string' && /^22...$/.test(code);
}

/** What `pg` threw, under what TypeORM or a pipeline made of it. */
const driverError = (error: unknown): unknown =>
  error instanceof PipelineError
    ? error.cause
    : ((error as { driverError?: unknown } | undefined)?.driverError ?? error);

/** Runs `work` and throws what it throws through {@link databaseError}. */
export async function inDatabase<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw databaseError(error);
  }
}
