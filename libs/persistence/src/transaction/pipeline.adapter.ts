import pg from 'pg';

import { wireValue } from './wire-value.adapter.js';

export interface Statement {
  readonly text: string;
  readonly values?: readonly unknown[];
  /** Given the rows of this statement, once all of them have succeeded. */
  readonly answered?: (rows: readonly pg.QueryResultRow[]) => void;
}

/** A statement of a pipeline failed, and nothing of it was done. */
export class PipelineError extends Error {
  override readonly name = 'PipelineError';
  constructor(
    readonly text: string,
    cause: Error,
  ) {
    super(cause.message, { cause });
  }
}

/** What `pg` keeps of a connection and does with it, as far as it is used here. */
interface Wire {
  readonly stream: { cork(): void; uncork(): void };
  readonly parsedStatements: Record<string, string>;
  readonly submittedNamedStatements: Record<string, string>;
  sync(): void;
}
/** A query of `pg`, whose messages are sent and read here one after the other. */
interface Part {
  prepare(wire: Wire): void;
  handleRowDescription(message: unknown): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, wire: Wire): void;
  handleReadyForQuery(wire: Wire): void;
  readonly name: string;
  readonly text: string;
}

const PREPARED_TEXTS = 500;
const names = new Map<string, string>();

/** The same text has the same name on every connection, so that it is parsed and planned once there. */
function nameOf(text: string): string | undefined {
  let name = names.get(text);
  if (name === undefined && names.size < PREPARED_TEXTS) names.set(text, (name = `pipe-${names.size}`));
  return name;
}

/**
 * Statements that go out in one write and are answered together. Outside a transaction they are one: the protocol ends the
 * transaction at the message that ends the batch (`Sync`), and the first error undoes them all. A conversation costs more
 * than a small statement: this is what makes a batch of views cheap.
 */
class Pipeline {
  /** `pg` puts its time limit around it. */
  callback: (error: Error | null, results?: pg.QueryResult[]) => void;
  private readonly parts: readonly Part[];
  private readonly results: pg.QueryResult[] = [];
  private done = 0;

  constructor(statements: readonly Statement[], callback: (error: Error | null, results?: pg.QueryResult[]) => void) {
    this.callback = callback;
    this.parts = statements.map(({ text, values = [] }) => {
      const query = new pg.Query(
        { text, values: values.map(wireValue), name: nameOf(text) } as never,
        undefined,
        ((error: Error | null, result: pg.QueryResult) => error ?? this.results.push(result)) as never,
      );
      return query as unknown as Part;
    });
  }

  submit(wire: Wire): null {
    const withoutSync = Object.create(wire, { sync: { value: () => undefined } }) as Wire;
    wire.stream.cork();
    for (const part of this.parts) part.prepare(withoutSync);
    wire.sync();
    wire.stream.uncork();
    return null;
  }

  handleRowDescription(message: unknown): void {
    this.parts[this.done]!.handleRowDescription(message);
  }

  handleDataRow(message: unknown): void {
    this.parts[this.done]!.handleDataRow(message);
  }

  handleCommandComplete(message: unknown, wire: Wire): void {
    const part = this.parts[this.done++]!;
    part.handleCommandComplete(message, wire);
    if (part.name) wire.parsedStatements[part.name] = part.text;
  }

  handleReadyForQuery(wire: Wire): void {
    for (const part of this.parts) part.handleReadyForQuery(wire);
    this.callback(null, this.results);
  }

  handleError(error: Error): void {
    this.callback(new PipelineError(this.parts[this.done]?.text ?? '', error));
  }
}

/**
 * Sends statements together. After an error the connection must not be used again: it may have statements prepared that `pg`
 * does not know of.
 * @throws PipelineError
 */
export async function pipelined(client: pg.ClientBase, statements: readonly Statement[]): Promise<pg.QueryResult[]> {
  const results = await new Promise<pg.QueryResult[]>((resolve, reject) => {
    const pipeline = new Pipeline(statements, (error, answers) => (error ? reject(error) : resolve(answers!)));
    client.query(pipeline as unknown as pg.Submittable);
  });
  statements.forEach(({ answered }, index) => answered?.(results[index]!.rows as pg.QueryResultRow[]));
  return results;
}
