import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { streams } from '#libs/events/src/streams.js';
import { SystemClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { ConnectionTable } from '../connections/connection.table.js';
import { MESSAGES } from './attempt-task.js';
import { RecordedAttempts } from './recorded-attempts.js';
import { withdraw } from './withdraw.js';

const RUN = streams.run('run_1');
const NOW = new Date('2026-11-20T12:00:00Z');
const never = new AbortController().signal;
const requestedBy = { kind: 'run' as const, runId: 'run_1', stepId: 'tell' };

async function append(store: EventStore, stream: string, type: string, data: object): Promise<RecordedEvent> {
  const event = newEvent({ type, data }, { id: uuid7(), orgId: 'org_1', actor: 'run/run_1', now: NOW });
  await store.append(stream, [event], 'any');
  return (await store.readStream(stream)).at(-1)!;
}

/** A request of a run, and the withdrawal of it. */
async function given(store: EventStore, type = 'message.requested', more: object = {}, stream = RUN, isOld = false) {
  const data = { requestedBy, eventId: '', integration: 'chat', text: 'x', title: 'x', ...more };
  const request = await append(store, stream, type, data);
  const revision = isOld ? { revision: String(request.revision) } : {};
  const about = { runId: 'run_1', requestId: request.id, request: type, ...revision };
  const withdrawal = (await append(
    store,
    RUN,
    'run.request_withdrawn',
    about,
  )) as RecordedEvent<'run.request_withdrawn'>;
  return { request, withdrawal };
}

const connection = { id: 'int_1', orgId: 'org_1', provider: 'slack', name: 'chat', active: true, config: {} };
const connections = {
  name: 'connections',
  find: () => connection,
  open: () => Promise.resolve({ config: {}, secrets: [] }),
} as unknown as ConnectionTable;

/** What sends messages, and how often it has sent one. */
function sender(store: EventStore, answer: () => void = () => undefined) {
  const sent: number[] = [];
  const attempts = new RecordedAttempts(
    {
      requested: 'message.requested',
      integration: () => 'chat',
      queue: MESSAGES,
      stream: streams.message,
      begun: 'message.attempted',
      retried: 'message.attempt_failed',
      failed: 'message.failed',
      word: 'message',
    },
    {
      store,
      clock: new SystemClock(),
      retrySchedule: [1, 1],
      http: { request: () => Promise.reject(new Error('nobody asks')) },
      progress: { whenProcessed: () => Promise.resolve() },
      connections,
      providers: new Map(),
    },
  );
  const send = ({ id, stream, revision }: RecordedEvent, attempt: number) => {
    const payload = { request: id, stream, revision: String(revision), attempt };
    return attempts.run({ queue: MESSAGES, key: id, dueAt: NOW, payload, position: 1n, claims: 1 }, never, () => {
      sent.push(attempt);
      answer();
      return Promise.resolve({ type: 'message.sent', data: { provider: 'slack' } });
    });
  };
  return { sent, send };
}

const busy = () => {
  throw new StepError({ code: 'slack.ratelimited', message: 'Busy.', retryable: true });
};
const typesIn = async (store: EventStore, stream: string) => (await store.readStream(stream)).map(({ type }) => type);

describe('a request of a run that was cancelled', () => {
  it('is not carried out if nothing has begun, and says so once', async () => {
    const store = new MemoryEventStore();
    const { request, withdrawal } = await given(store);
    expect(await withdraw(store, withdrawal, NOW)).toMatchObject({ id: request.id });
    expect(await withdraw(store, withdrawal, NOW)).toBeUndefined();
    const { sent, send } = sender(store);
    await send(request, 1);
    expect(sent).toEqual([]);
    const [end, ...rest] = await store.readStream(streams.message(request.id));
    expect(rest).toEqual([]);
    expect(end).toMatchObject({
      type: 'message.failed',
      data: { requestedBy, attempt: 1, error: { code: 'message.withdrawn' } },
      metadata: { $causationId: request.id },
    });
  });

  it('is not retried after an attempt that failed', async () => {
    const store = new MemoryEventStore();
    const { request, withdrawal } = await given(store);
    const { sent, send } = sender(store, busy);
    await send(request, 1);
    expect(await withdraw(store, withdrawal, NOW)).toBeDefined();
    await send(request, 2);
    expect(sent).toEqual([1]);
    expect(await typesIn(store, streams.message(request.id))).toEqual([
      'message.attempted',
      'message.attempt_failed',
      'message.failed',
    ]);
  });

  it.each(['message.attempted', 'message.sent'])('is left alone where there is %s', async (last) => {
    const store = new MemoryEventStore();
    const { request, withdrawal } = await given(store);
    const stream = streams.message(request.id);
    if (last === 'message.sent') await append(store, stream, 'message.attempted', {});
    await append(store, stream, last, {});
    const before = await typesIn(store, stream);
    expect(await withdraw(store, withdrawal, NOW)).toBeUndefined();
    expect(await typesIn(store, stream)).toEqual(before);
  });

  it('is withdrawn in a tracker outside, and not in the built-in one', async () => {
    const store = new MemoryEventStore();
    const outside = await given(store, 'issue.requested', { tracker: 'acme/app' });
    expect(await withdraw(store, outside.withdrawal, NOW)).toBeDefined();
    expect((await store.readStream(streams.tracked(outside.request.id))).at(-1)).toMatchObject({
      type: 'tracker.failed',
      data: { error: { code: 'tracker.withdrawn' } },
    });
    const inside = await given(store, 'issue.requested');
    expect(await withdraw(store, inside.withdrawal, NOW)).toBeUndefined();
  });

  it('is withdrawn as older versions say it', async () => {
    const store = new MemoryEventStore();
    const { withdrawal } = await given(store, 'message.requested', {}, RUN, true);
    expect(withdrawal.data.revision).toBe('0');
    expect(await withdraw(store, withdrawal, NOW)).toBeDefined();
  });

  it('is not withdrawn by another run', async () => {
    const store = new MemoryEventStore();
    const { request, withdrawal } = await given(store, 'message.requested', {}, streams.run('run_2'));
    expect(await withdraw(store, withdrawal, NOW)).toBeUndefined();
    expect(await typesIn(store, streams.message(request.id))).toEqual([]);
  });

  it('is either sent or withdrawn, never both, whoever is faster', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), async (scheduler) => {
        const memory = new MemoryEventStore();
        const { request, withdrawal } = await given(memory);
        const slow = (name: 'append' | 'readStream') => ({
          value: (...input: never[]) =>
            scheduler
              .schedule(Promise.resolve(), name)
              .then(() => (memory[name] as (...all: never[]) => unknown)(...input)),
        });
        const store = Object.create(memory, { append: slow('append'), readStream: slow('readStream') }) as EventStore;
        const { sent, send } = sender(store);
        const all = Promise.all([send(request, 1), withdraw(store, withdrawal, NOW), send(request, 1)]);
        await scheduler.waitFor(all);
        const [, withdrawn] = await all;
        const types = await typesIn(memory, streams.message(request.id));
        if (withdrawn) expect([types, sent]).toEqual([['message.failed'], []]);
        else expect([types, sent.length > 0]).toEqual([['message.attempted', 'message.sent'], true]);
      }),
      { numRuns: 200 },
    );
  });
});
