import pg from 'pg';

import { storable } from '#libs/kernel/src/text/text.js';

/**
 * A client that can hold every text that the log can: what PostgreSQL cannot store of a parameter (NUL, half of a surrogate
 * pair) is replaced, in what is written and in what is looked for alike. Its connection ends when a statement gets no answer within `query_timeout`. `pg` itself only gives the
 * statement up: the connection, half-open perhaps, would go back to the pool and swallow the next one too.
 */
export class GuardedClient extends pg.Client {
  // The overloads of `pg` come to this: a promise, unless a callback is given or the query is an object of its own.
  override query(...given: unknown[]): never {
    const result: unknown = (super.query as (...all: unknown[]) => unknown)(...given.map(withStorableTexts));
    if (result instanceof Promise) result.catch((error: unknown) => this.endIfSilent(error));
    return result as never;
  }

  private endIfSilent(error: unknown): void {
    if (!(error instanceof Error) || error.message !== 'Query read timeout') return;
    (this as unknown as { readonly connection: { readonly stream: { destroy(): void } } }).connection.stream.destroy();
  }
}

/** The parameters of a query: a list by itself, or `values` of a query with a name. Queries that write themselves have none. */
function withStorableTexts(given: unknown): unknown {
  if (Array.isArray(given)) return given.map(storableValue);
  if (typeof given !== 'object' || given === null || 'submit' in given) return given;
  const { values } = given as { readonly values?: unknown };
  return Array.isArray(values) ? { ...given, values: values.map(storableValue) } : given;
}

export const storableValue = (value: unknown): unknown =>
  typeof value === 'string' ? storable(value) : Array.isArray(value) ? value.map(storableValue) : value;
