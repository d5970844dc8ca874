import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import type { Caller } from '#libs/access/src/caller.js';
import type { TokenTable } from '#libs/access/src/token/token.table.js';
import { matcherOf } from '#libs/event-index/src/event-matcher.js';
import type { EventQuery } from '#libs/event-index/src/event-query.js';
import type { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent, RawJson } from '#libs/event-store/src/new-event.js';
import type { QuarantineMark } from '#libs/event-store/src/runner/quarantine.table.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import type { Parameters } from '../event-parameters.js';
import { MAX_UNREAD } from './event-stream.js';
import { EventViewTable } from '../views/event-view.table.js';
import { EventStreamController } from './event-stream.controller.js';
import { MAX_STREAMS_OF_ONE, OpenStreams } from './open-streams.js';

type Message = Readonly<Record<string, string>>;

/** One client of the route: reads as it is told. */
class Client {
  readonly headers: Record<string, string> = {};
  private text = '';
  private body: Readable = undefined as never;
  private readonly closed: (() => void)[] = [];
  wasCut = false;
  readonly reply = {
    type: (name: string) => this.reply.header('content-type', name),
    header: (name: string, value: string) => {
      this.headers[name] = value;
      return this.reply;
    },
    send: (body: never) => {
      this.body = body;
      return this.reply;
    },
    raw: {
      once: (_: 'close', listener: () => void) => this.closed.push(listener),
      destroy: () => void (this.wasCut = true),
    },
  };

  read(): this {
    this.body.on('data', (chunk: Buffer) => (this.text += chunk.toString()));
    return this;
  }
  get hasEnded(): boolean {
    return this.body.readableEnded;
  }
  /** Fields of each message so far, comments as `comment`. */
  get messages(): readonly Message[] {
    return this.text
      .split('\n\n')
      .slice(0, -1)
      .map((block) => {
        const fields: Record<string, string> = {};
        for (const line of block.split('\n')) {
          const [, name, value] = /^([^:]*): ?(.*)$/.exec(line)!;
          const key = name === '' ? 'comment' : name!;
          fields[key] = fields[key] === undefined ? value! : `${fields[key]}\n${value}`;
        }
        return fields;
      });
  }
  get events(): readonly number[] {
    return this.messages
      .filter(({ data, event }) => data !== undefined && event === undefined)
      .map(({ data }) => (JSON.parse(data!) as { data: { n: number } }).data.n);
  }
  async leave(): Promise<void> {
    if (!this.body.closed) {
      this.body.destroy();
      await once(this.body, 'close');
    }
    this.closed.forEach((listener) => listener());
  }
}

let store: MemoryEventStore;
let shutdown: AbortController;
let streams: OpenStreams;
let controller: EventStreamController;
let valid: boolean;
let marks: Map<string, QuarantineMark>;
let settled: boolean;
let searched: EventQuery[];
const clients: Client[] = [];

beforeEach(() => {
  store = new MemoryEventStore();
  shutdown = new AbortController();
  streams = new OpenStreams(shutdown.signal);
  [valid, settled, searched] = [true, true, []];
  marks = new Map();
  /** An index that has everything. */
  const reader = {
    settle: () => Promise.resolve(settled),
    markOf: (id: string) => marks.get(id),
    async *all(query: EventQuery) {
      searched.push(query);
      const { events } = await store.readAll({ after: query.after!, limit: 1_000 });
      yield events.filter(matcherOf(query));
    },
  };
  const tokens = { get: () => (valid ? { expiresAt: undefined } : undefined) };
  controller = new EventStreamController(
    store,
    reader as unknown as EventReader,
    tokens as unknown as TokenTable,
    new FixedClock(),
    streams,
    new EventViewTable(),
  );
});
afterEach(async () => {
  await store.close();
  shutdown.abort();
  for (const client of clients.splice(0)) await client.leave();
});

const caller = (orgId: string): Caller => ({ orgId, actor: 'token/tok_1', tokenId: 'tok_1', roles: ['auditor'] });
let count = 0;
async function write(n: number, { type = 'git.push', orgId = 'org_a', size = 0 } = {}): Promise<void> {
  const data = { n, ...(size > 0 && { text: 'x'.repeat(size) }) };
  const event = newEvent({ type, data }, { id: uuid7(), orgId, actor: 'millrace', now: new Date(), source: 'spec' });
  await store.append(`s-${count++}`, [event], 'no-stream');
}
async function connect(parameters: Parameters = {}, lastEventId?: string, orgId = 'org_a'): Promise<Client> {
  const client = new Client();
  const answer = controller.follow(caller(orgId), parameters, lastEventId, client.reply);
  let refused = false;
  answer.catch(() => (refused = true));
  await waitFor('the answer', () => refused || client.headers['x-accel-buffering'] !== undefined);
  if (refused) await answer;
  clients.push(client);
  return client;
}
const shows = (client: Client, events: readonly number[]) =>
  waitFor(
    `the events ${events.join()}`,
    () => client.events.length >= events.length,
    () => client.events.join(),
  ).then(() => expect(client.events).toEqual(events));

describe('the stream of events', () => {
  it('begins with the next event, and has the position of each', async () => {
    await write(1);
    const client = (await connect()).read();
    await write(2);
    await write(3);
    await shows(client, [2, 3]);
    expect(client.headers).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    expect(client.messages.map(({ id }) => id)).toEqual(['1', '2', '3']);
    expect(JSON.parse(client.messages[1]!['data']!)).toMatchObject({ type: 'git.push', metadata: { position: '2' } });
  });

  it.each([
    ['?after', { after: '1' }, undefined],
    ['Last-Event-ID, which takes precedence', { after: '0' }, '1'],
    ['the first event that a range includes', { fromPosition: '2' }, undefined],
  ])('goes on from %s, first with the past and then with what is recorded', async (_, parameters, lastEventId) => {
    for (const n of [1, 2, 3]) await write(n);
    const client = (await connect(parameters, lastEventId)).read();
    await shows(client, [2, 3]);
    await write(4);
    await shows(client, [2, 3, 4]);
    expect(searched).toHaveLength(1);
  });

  it('reads the log itself where the index is far behind', async () => {
    settled = false;
    for (const n of [1, 2, 3]) await write(n);
    await shows((await connect({ after: '1', type: 'git.*' })).read(), [2, 3]);
    expect(searched).toEqual([]);
  });

  it('has the filters of the list', async () => {
    const client = (await connect({ type: 'pr.*', source: 'sp*', filter: 'data.n > `2`' })).read();
    await write(1);
    await write(2, { type: 'pr.opened' });
    await write(3, { type: 'pr.opened' });
    await write(4, { type: 'pr.merged' });
    await shows(client, [3, 4]);
  });

  it('says of events in quarantine why they are there', async () => {
    await write(1);
    const mark = { orgId: 'org_a', reason: 'a test', by: 'token/tok_1', at: '2026-11-30T12:00:00Z' };
    marks.set((await store.readAll({ limit: 1 })).events[0]!.id, mark);
    const client = (await connect({ after: '0' })).read();
    await shows(client, [1]);
    const shown = client.messages.find((message) => message['data'] !== undefined)!;
    expect(JSON.parse(shown['data']!)).toMatchObject({ metadata: { quarantine: { reason: 'a test' } } });
  });

  it('has the events of its own organisation alone', async () => {
    const client = (await connect({ after: '0' }, undefined, 'org_b')).read();
    await write(1);
    await write(2, { orgId: 'org_b' });
    await shows(client, [2]);
  });

  it.each([
    [{ after: 'x' }, undefined, '/after'],
    [{ after: ['1', '2'] }, undefined, '/after'],
    [{}, '-1', '/Last-Event-ID'],
  ])('refuses a place that is none: %j %s', async (parameters, lastEventId, pointer) => {
    const answer = controller.follow(caller('org_a'), parameters, lastEventId, new Client().reply);
    await expect(answer).rejects.toMatchObject({ code: 'query.invalid', problems: [{ pointer }] });
  });

  it('keeps data with line ends in one message', async () => {
    const client = (await connect()).read();
    const data = new RawJson('{\n"n": 1,\r\n"text": "a\\nb"}');
    await store.append(
      's',
      [newEvent({ type: 'git.push', data }, { id: uuid7(), orgId: 'org_a', actor: 'x', now: new Date() })],
      'no-stream',
    );
    await shows(client, [1]);
  });

  it('tells a slow client how many new events it left out, and where they are', async () => {
    const client = await connect();
    const size = MAX_UNREAD / 4;
    for (let n = 1; n <= 20; n++) await write(n, { size });
    await waitFor('all events', () => streamPosition() === 20n);
    client.read();
    await write(21);
    await waitFor('the newest event', () => client.events.includes(21));
    const [skipped] = client.messages.filter(({ event }) => event === 'skipped');
    const { count: left, fromPosition, toPosition } = JSON.parse(skipped!['data']!) as Record<string, number>;
    const sent = client.events.slice(0, -1);
    expect(sent).toEqual(sent.map((_, index) => index + 1));
    expect(sent.length).toBeLessThanOrEqual(5);
    expect([left, Number(fromPosition), Number(toPosition)]).toEqual([20 - sent.length, sent.length + 1, 20]);
    expect(skipped!['id']).toBe('20');
  });

  it('leaves nothing out of the past, however slowly a client reads it', async () => {
    const size = MAX_UNREAD / 4;
    for (let n = 1; n <= 20; n++) await write(n, { size });
    const client = await connect({ after: '0' });
    for (let turns = 0; turns < 50; turns++) await turn();
    client.read();
    await shows(
      client,
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
  });

  it('beats, and says how far it looked', async () => {
    const client = (await connect({ type: 'pr.opened' })).read();
    await write(1);
    await waitFor('the event that does not match', () => streamPosition() === 1n);
    streams.beat();
    await waitFor('the comment', () => client.messages.length === 2);
    expect(client.messages[1]).toEqual({ comment: 'keep-alive', id: '1' });
  });

  it('ends when the token is revoked', async () => {
    const client = (await connect()).read();
    valid = false;
    streams.beat();
    await waitFor('the end', () => client.hasEnded);
    expect(JSON.parse(client.messages.at(-1)!['data']!)).toMatchObject({ code: 'token.unknown' });
  });

  it('ends when the process stops, and nobody may begin another', async () => {
    const client = (await connect()).read();
    shutdown.abort();
    await waitFor('the end', () => client.hasEnded);
    expect(client.messages.at(-1)).toMatchObject({ event: 'end' });
    expect(JSON.parse(client.messages.at(-1)!['data']!)).toMatchObject({ code: 'server.stopping' });
    await expect(connect()).rejects.toMatchObject({ code: 'event_stream.busy' });
  });

  it('is cut off where the client does not read when the process stops', async () => {
    const client = await connect();
    shutdown.abort();
    await waitFor('the cut', () => client.wasCut);
  });

  it('is refused to an organisation that has as many as it may have, until one ends', async () => {
    for (let n = 0; n < MAX_STREAMS_OF_ONE; n++) await connect();
    await expect(connect()).rejects.toMatchObject({ code: 'event_stream.busy', retryAfter: 5 });
    await connect({}, undefined, 'org_b');
    await clients.shift()!.leave();
    await connect();
  });
});

/** How far the log was looked through for the only client. */
function streamPosition(): bigint {
  const [one] = (streams as unknown as { open: Set<{ position(): bigint }> }).open;
  return one!.position();
}
