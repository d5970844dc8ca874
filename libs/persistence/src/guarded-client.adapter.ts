import pg from 'pg';

/**
 * A client whose connection ends when a statement gets no answer within `query_timeout`. `pg` itself only gives the
 * statement up: the connection, half-open perhaps, would go back to the pool and swallow the next one too.
 */
export class GuardedClient extends pg.Client {
  // The overloads of `pg` come to this: a promise, unless a callback is given or the query is an object of its own.
  override query(...given: unknown[]): never {
    const result: unknown = (super.query as (...all: unknown[]) => unknown)(...given);
    if (result instanceof Promise) result.catch((error: unknown) => this.endIfSilent(error));
    return result as never;
  }

  private endIfSilent(error: unknown): void {
    if (!(error instanceof Error) || error.message !== 'Query read timeout') return;
    (this as unknown as { readonly connection: { readonly stream: { destroy(): void } } }).connection.stream.destroy();
  }
}
