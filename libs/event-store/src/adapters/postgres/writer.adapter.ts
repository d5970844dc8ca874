import type pg from 'pg';

import { backoff } from '#libs/kernel/src/time/backoff.js';
import type { Transient } from '#libs/kernel/src/errors.js';

import type { StreamNames } from '../../names/stream-names.js';
import {
  type Appended,
  type AppendOutcome,
  type AppendRequest,
  type AppendRow,
  BatchEncoder,
  decodeAnswer,
} from './append-batch.js';
import { connect, discard } from './connection.adapter.js';
import { isPassing, unavailable } from './unavailable.js';

/** Longest wait for the answer to one batch: a connection of which nothing comes back is given up. */
const ANSWER_MS = 5_000;
/** How long a batch is tried again after the first failure. */
const RETRY_MS = 2_000;
const BACKOFF = { first: 25, max: 400 };

const APPEND = {
  name: 'log-append',
  text: 'SELECT outcomes, revisions, positions, created FROM log.append_prefixed($1, $2, $3, $4, $5, $6, $7, $8)',
  rowMode: 'array',
  types: { getTypeParser: () => (value: string) => value },
} as const;

/** Without a revision a second try could not tell its own events from new ones, if others append there too. */
const isRepeatable = ({ expected }: AppendRequest): boolean => typeof expected === 'bigint' || expected === 'no-stream';

/**
 * The one connection that writes, one batch at a time. A batch is one statement of its own transaction, so a process
 * that stops in the middle holds no lock; and the same batch can be sent again when its outcome is unknown, since every
 * request in it names its ids and its expectation.
 */
export class Writer {
  private client: pg.Client | undefined;
  private readonly encoder: BatchEncoder;
  /** Since the last batch could not be stored: the next one is tried once only. */
  private down = false;

  constructor(
    private readonly connectionString: string,
    names: StreamNames,
    /** Told of each batch that has been stored, before its callers are. */
    private readonly stored: (appended: Appended) => void,
  ) {
    this.encoder = new BatchEncoder(names);
  }

  /** Answers each request. @throws Transient `log.unavailable`: the outcome of all of them is unknown. */
  async commit(requests: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
    const start = Date.now();
    let unsure: Transient | undefined;
    for (let tries = 1; ; tries++) {
      let sent = false;
      try {
        const client = (this.client ??= await this.open());
        const sending = unsure ? requests.filter(isRepeatable) : requests;
        sent = true;
        const appended = await this.send(client, sending);
        this.down = false;
        this.stored(appended);
        const answers = appended.outcomes.values();
        return requests.map((request) =>
          unsure && !isRepeatable(request) ? { error: unsure } : (answers.next().value as AppendOutcome),
        );
      } catch (error) {
        if (!isPassing(error)) throw error;
        const pause = backoff(tries, BACKOFF);
        if (this.down || Date.now() - start + pause > RETRY_MS) {
          this.down = true;
          throw unavailable(error);
        }
        if (sent) unsure = unavailable(error);
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }

  /** Of the server's process behind this connection, which signs its notifications. */
  get processId(): number | undefined {
    return (this.client as unknown as { processID?: number } | undefined)?.processID;
  }

  close(): void {
    if (this.client) discard(this.client);
    this.client = undefined;
  }

  private async send(client: pg.Client, requests: readonly AppendRequest[]): Promise<Appended> {
    if (requests.length === 0) return { outcomes: [], events: [] };
    const values = this.encoder.parameters(requests);
    const [row] = await this.answer(client, { ...APPEND, values });
    return decodeAnswer(requests, row as AppendRow);
  }

  private async open(): Promise<pg.Client> {
    const client = await connect(this.connectionString, 'millrace log writer');
    client.on('end', () => this.lose(client));
    // Whatever the database's default is: an append that is answered survives a power cut.
    await this.answer(client, { text: `SET synchronous_commit = on; SET statement_timeout = ${ANSWER_MS}` });
    return client;
  }

  /** Whatever goes wrong, the next attempt starts from a connection whose state is known. */
  private async answer(client: pg.Client, query: pg.QueryConfig): Promise<unknown[]> {
    const timer = setTimeout(() => this.lose(client), ANSWER_MS);
    try {
      return (await client.query(query)).rows as unknown[];
    } catch (error) {
      this.lose(client);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  private lose(client: pg.Client): void {
    discard(client);
    if (this.client === client) this.client = undefined;
  }
}
