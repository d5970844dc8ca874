import {
  ANY,
  END,
  EventStoreDBClient,
  eventTypeFilter,
  jsonEvent,
  NO_STREAM,
  type Position,
  START,
  STREAM_EXISTS,
  streamNameFilter,
  StreamNotFoundError,
  WrongExpectedVersionError,
} from '@eventstore/db-client';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { uuid7 } from '#libs/kernel/src/ids.js';

import { EventStoreDbDouble } from '../../../testing/eventstoredb-double/eventstoredb-double.adapter.js';

/**
 * The double is no better than its likeness to the server: here the client's own calls, unmodified, meet it (or, with
 * `EVENTSTORE_URL`, a real server) and must find what the client's authors expect.
 */
describe('the unmodified client', () => {
  const url = process.env['EVENTSTORE_URL'];
  let double: EventStoreDbDouble | undefined;
  let client: EventStoreDBClient;
  const aStream = (): string => `client-${uuid7()}`;
  const event = (type = 'client.tested') => jsonEvent({ id: uuid7(), type, data: { n: 1 } });

  beforeAll(async () => {
    double = url === undefined ? await EventStoreDbDouble.start() : undefined;
    client = EventStoreDBClient.connectionString(url ?? double!.connectionString);
  });
  afterAll(async () => {
    await client.dispose();
    await double?.stop();
  });

  test('appends at a revision and reads it back, with its place in the log', async () => {
    const stream = aStream();
    const events = [event(), event()];
    const result = await client.appendToStream(stream, events, { expectedRevision: NO_STREAM });
    expect(result).toMatchObject({ success: true, nextExpectedRevision: 1n });
    const read = [];
    for await (const { event } of client.readStream(stream)) read.push(event!);
    expect(read.map(({ id }) => id)).toEqual(events.map(({ id }) => id));
    expect(read[1]).toMatchObject({
      streamId: stream,
      revision: 1n,
      type: 'client.tested',
      data: { n: 1 },
      isJson: true,
    });
    expect(read[1]!.position!.commit).toBe(result.position!.commit);
    expect(Math.abs(read[1]!.created.getTime() - Date.now())).toBeLessThan(60_000);
  });

  test('is told the actual revision when it expected another', async () => {
    const stream = aStream();
    await expect(client.appendToStream(stream, event(), { expectedRevision: STREAM_EXISTS })).rejects.toMatchObject({
      expectedVersion: 'stream_exists',
      actualVersion: 'no_stream',
    });
    await client.appendToStream(stream, event(), { expectedRevision: NO_STREAM });
    const refused = client.appendToStream(stream, event(), { expectedRevision: NO_STREAM });
    await expect(refused).rejects.toBeInstanceOf(WrongExpectedVersionError);
    await expect(refused).rejects.toMatchObject({ streamName: stream, actualVersion: 0n });
  });

  test('gets the place of the first append when it repeats one', async () => {
    const stream = aStream();
    const events = [event(), event()];
    const first = await client.appendToStream(stream, events, { expectedRevision: NO_STREAM });
    await client.appendToStream(stream, event(), { expectedRevision: 1n });
    const repeated = await client.appendToStream(stream, events, { expectedRevision: NO_STREAM });
    expect(repeated.nextExpectedRevision).toBe(1n);
    expect(repeated.position!.commit).toBe(first.position!.commit);
  });

  test('appends by single calls, too, when it authenticates them', async () => {
    if (url !== undefined) return;
    const calls = double!.calls.get('append') ?? 0;
    const options = { expectedRevision: NO_STREAM, credentials: { username: 'admin', password: 'changeit' } } as const;
    const secure = await client.appendToStream(aStream(), event(), options).catch((error: Error) => error.message);
    // Without TLS the gRPC library may refuse to send credentials at all; then there is nothing to answer.
    if (typeof secure === 'object') expect(double!.calls.get('append')).toBe(calls + 1);
    else expect(secure).toMatch(/credential|secure|UNAVAILABLE|UNAUTHENTICATED/i);
  });

  test('finds no stream where none was', async () => {
    const read = async () => {
      for await (const _ of client.readStream(aStream())) throw new Error('there is nothing to read');
    };
    await expect(read()).rejects.toBeInstanceOf(StreamNotFoundError);
  });

  test('reads $all forwards inclusive and backwards exclusive of a position', async () => {
    const stream = aStream();
    for (let n = 0; n < 3; n++) await client.appendToStream(stream, event(), { expectedRevision: ANY });
    const own = async (options: Parameters<typeof client.readAll>[0]) => {
      const revisions: bigint[] = [];
      for await (const { event } of client.readAll(options))
        if (event?.streamId === stream) revisions.push(event.revision);
      return revisions;
    };
    let middle: Position | undefined;
    for await (const { event } of client.readStream(stream, { fromRevision: 1n, maxCount: 1 }))
      middle = event!.position;
    const fromPosition = { commit: middle!.commit, prepare: middle!.commit };
    expect(await own({ fromPosition, direction: 'forwards' })).toEqual([1n, 2n]);
    expect(await own({ fromPosition, direction: 'backwards' })).toEqual([0n]);
  });

  test('honours a boundary set in the metadata when it reads the stream, not when it reads $all', async () => {
    const stream = aStream();
    await client.appendToStream(stream, [event(), event(), event()], { expectedRevision: NO_STREAM });
    await client.setStreamMetadata(stream, { truncateBefore: 2 });
    expect(await client.getStreamMetadata(stream)).toMatchObject({ metadata: { truncateBefore: 2 } });
    const revisions: bigint[] = [];
    for await (const { event } of client.readStream(stream)) revisions.push(event!.revision);
    expect(revisions).toEqual([2n]);
    let inAll = 0;
    for await (const { event } of client.readAll({ fromPosition: END, direction: 'backwards', maxCount: 50 }))
      if (event?.streamId === stream) inAll++;
    expect(inAll).toBe(3);
  });

  test.each([
    ['types by a regular expression', (_: string) => ({ ...eventTypeFilter({ regex: '^client\\.wanted$' }) }), [1, 3]],
    ['types by prefix', (_: string) => ({ ...eventTypeFilter({ prefixes: ['client.want'] }) }), [1, 3]],
    ['streams by prefix', (prefix: string) => ({ ...streamNameFilter({ prefixes: [`${prefix}-a`] }) }), [0, 1]],
  ])('subscribes to $all filtered by %s, and is told how far it is', async (_, filterFor, expected) => {
    const prefix = aStream();
    const events = ['other', 'wanted', 'other', 'wanted'].map((type) => event(`client.${type}`));
    let after: Position | undefined;
    for await (const { event } of client.readAll({ fromPosition: END, direction: 'backwards', maxCount: 1 }))
      after = event!.position;
    for (const [n, each] of events.entries())
      await client.appendToStream(`${prefix}-${n < 2 ? 'a' : 'b'}`, each, { expectedRevision: ANY });
    const checkpoints: bigint[] = [];
    const filter = {
      ...filterFor(prefix),
      maxSearchWindow: 1,
      checkpointInterval: 1,
      checkpointReached: async (_subscription: unknown, { commit }: Position) => void checkpoints.push(commit),
    };
    const fromPosition = after === undefined ? START : { commit: after.commit, prepare: after.commit };
    const subscription = client.subscribeToAll({ fromPosition, filter });
    const found: string[] = [];
    const caughtUp = new Promise((resolve) => subscription.once('caughtUp' as never, resolve));
    subscription.on('data', ({ event }) => {
      if (event) found.push(event.id);
    });
    subscription.on('error', () => undefined);
    await caughtUp;
    await subscription.unsubscribe();
    expect(found).toEqual(expected.map((n) => events[n]!.id));
    expect(checkpoints.length).toBeGreaterThan(0);
  });
});
