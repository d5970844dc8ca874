import { beforeEach, describe, expect, it } from '@jest/globals';
import { Type } from '@sinclair/typebox';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { EventToAppend, ExpectedRevision, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { satisfies } from '#libs/events/src/check.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import type { SecretPlace } from '#libs/events/src/secrets/secret-places.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { isUuid, uuid7 } from '#libs/kernel/src/ids.js';
import type { Log } from '#libs/kernel/src/log.js';
import type { ClaimedWork } from '#libs/persistence/src/claims/work.js';
import { type ActionContext, defineAction } from '#libs/plugin-sdk/src/define-action.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { type AttemptTask, queueOf } from '../attempts/attempt-task.js';
import { MAX_OUTPUT_BYTES } from '../attempts/attempt.js';
import { RunAction, type RunActionParts } from './run-action.js';

const SECRET = 'sk-live-4711-not-to-be-told';
const MINUTE = 60_000;

/** A log that goes away at an append, before or after it was done. */
class FlakyEventStore extends MemoryEventStore {
  fail: 'before' | 'after' | undefined;
  readonly expected: ExpectedRevision[] = [];
  override async append(stream: string, events: readonly EventToAppend[], expected: ExpectedRevision) {
    const { fail } = this;
    if (stream.startsWith(streams.action(''))) this.expected.push(expected);
    this.fail = undefined;
    if (fail === 'before') throw new Transient('log.unavailable', 'gone');
    const result = await super.append(stream, events, expected);
    if (fail === 'after') throw new Transient('log.unavailable', 'gone');
    return result;
  }
}

interface Call {
  readonly input: unknown;
  readonly context: ActionContext;
}

let store: FlakyEventStore;
let clock: FixedClock;
let calls: Call[];
let logged: { fields: object; message: string }[];
beforeEach(() => {
  store = new FlakyEventStore();
  clock = new FixedClock('2026-11-20T12:00:00.000Z');
  calls = [];
  logged = [];
});

const line = (fields: object, message: string) => void logged.push({ fields, message });
const log: Log = { debug: line, info: line, warn: line, error: line };
const noSecrets = { of: () => Promise.resolve(new Map<string, string>()) };
const http = { request: () => Promise.reject(new Error('nobody asks')) };

function worker(run: (context: ActionContext) => unknown = () => null, more: Partial<RunActionParts> = {}): RunAction {
  const action = defineAction({
    name: 'page-on-call',
    description: 'Pages the person on call.',
    inputSchema: Type.Object({ team: Type.String(), minutes: Type.Optional(Type.Integer()) }),
    run: async (input, context) => {
      calls.push({ input, context });
      return run(context);
    },
  });
  return new RunAction(action, {
    store,
    clock,
    http,
    retrySchedule: [10_000, MINUTE],
    secrets: noSecrets,
    log,
    ...more,
  });
}
const failing = (failure: ConstructorParameters<typeof StepError>[0]) =>
  worker(() => {
    throw new StepError(failure);
  });

async function requested(
  input: object = { team: 'db' },
  secrets?: readonly SecretPlace[],
): Promise<RecordedEvent<'action.requested'>> {
  const id = uuid7();
  const data = {
    requestedBy: { kind: 'rule' as const, ruleId: 'rul_1', ruleVersion: 1, index: 0 },
    eventId: 'evt_1',
    action: 'page-on-call',
    input: input as Record<string, unknown>,
    ...(secrets && { secrets: [...secrets] }),
  };
  const event = newEvent(
    { type: 'action.requested', data },
    { id, orgId: 'org_1', actor: 'rule/rul_1', now: clock.now() },
  );
  await store.append(streams.decisions(id), [event], 'no-stream');
  const [recorded] = await store.readStream(streams.decisions(id));
  return recorded as RecordedEvent<'action.requested'>;
}

const claimed = ({ id, stream, position }: RecordedEvent, attempt = 1, claims = 1): ClaimedWork<AttemptTask> => ({
  queue: queueOf('page-on-call'),
  key: id,
  dueAt: clock.now(),
  payload: { request: id, stream, revision: '0', attempt } satisfies AttemptTask,
  position,
  claims,
});
const live = () => new AbortController().signal;
const outcomes = ({ id }: RecordedEvent) => store.readStream(streams.action(id));

describe('an action with a secret', () => {
  const places = [{ pointer: '/input/team', index: 3, name: 'KEY' }];
  const asked = () => requested({ team: 'db ${{ secrets.KEY }}' }, places);
  const secrets = { of: () => Promise.resolve(new Map([['KEY', 'the secret key']])) };

  it('is given it, and neither its output nor the log of the server has it', async () => {
    const request = await asked();
    const run = ({ log: say }: ActionContext) => {
      say('used the secret key', { key: 'the secret key' });
      return { echoed: encodeURIComponent('the secret key') };
    };
    await worker(run, { secrets }).run(claimed(request), live());
    expect(calls.at(-1)!.input).toEqual({ team: 'db the secret key' });
    const [outcome] = await outcomes(request);
    expect(outcome!.data).toMatchObject({ output: { echoed: '***' } });
    expect(logged).toMatchObject([{ fields: { key: '***' }, message: 'used ***' }]);
  });

  it.each([
    ['fails', new StepError({ message: 'No the secret key.', retryable: false })],
    ['is a mistake', new Error('No the secret key.')],
  ])('keeps it out of the error when it %s', async (_, thrown) => {
    const request = await asked();
    const run = () => {
      throw thrown;
    };
    await worker(run, { secrets }).run(claimed(request), live());
    expect(JSON.stringify([logged, (await outcomes(request)).map(({ data }) => data)])).not.toContain('secret key');
  });

  it('is not run without it', async () => {
    const request = await asked();
    const before = calls.length;
    await worker().run(claimed(request), live());
    expect(calls).toHaveLength(before);
    const [outcome] = await outcomes(request);
    expect(outcome!.data).toMatchObject({ final: true, error: { code: 'secret.unknown' } });
  });
});

describe('an action of a plug-in', () => {
  it('is run with its input, and what it gave back is recorded once, caused by the request', async () => {
    const request = await requested();
    const done = await worker(() => {
      clock.advance(42);
      return { page: 'p-1', at: new Date(0), gone: undefined };
    }).run(claimed(request), live());
    const [outcome, ...more] = await outcomes(request);
    expect(more).toEqual([]);
    expect(done).toEqual({ position: outcome!.position });
    expect(outcome).toMatchObject({
      type: 'action.completed',
      data: {
        requestId: eventIdOf(request.id),
        request: { stream: request.stream, revision: '0' },
        requestedBy: request.data.requestedBy,
        eventId: 'evt_1',
        action: 'page-on-call',
        output: { page: 'p-1', at: '1970-01-01T00:00:00.000Z' },
        attempts: 1,
        latencyMs: 42,
      },
      metadata: {
        $causationId: request.id,
        $correlationId: request.metadata.$correlationId,
        hop: 1,
        orgId: 'org_1',
        actor: 'rule/rul_1',
        subject: 'action/page-on-call',
      },
    });
    expect(satisfies('action.completed', outcome!.data)).toBe(true);
    expect(calls[0]!.input).toEqual({ team: 'db' });
    expect(calls[0]!.context).toMatchObject({ attempt: 1, timeoutMs: 30_000, http });
  });

  it('gives null where it says nothing', async () => {
    const request = await requested();
    await worker(() => undefined).run(claimed(request), live());
    expect((await outcomes(request))[0]!.data).toMatchObject({ output: null, attempts: 1 });
  });

  it('writes to the log of the server, with the action and the request named', async () => {
    const request = await requested();
    await worker((context) => context.log('paged', { page: 1, action: 'forged' })).run(claimed(request), live());
    const fields = { page: 1, action: 'page-on-call', request: eventIdOf(request.id), attempt: 1 };
    expect(logged).toEqual([{ message: 'paged', fields }]);
  });

  it.each<[string, () => unknown, string]>([
    ['too large', () => 'x'.repeat(MAX_OUTPUT_BYTES), 'too_large'],
    ['nothing that JSON can hold', () => 1n, 'not_json'],
    ['a function', () => () => 1, 'not_json'],
  ])('counts as carried out where its output is %s, which is left out', async (_, run, omitted) => {
    const request = await requested();
    await worker(run).run(claimed(request), live());
    expect((await outcomes(request))[0]).toMatchObject({ type: 'action.completed', data: { output: null, omitted } });
  });
});

describe('an attempt that fails', () => {
  it('is followed by others where it says so, as late as the schedule says; the last one is final', async () => {
    const request = await requested();
    const page = failing({ code: 'pager.busy', message: 'The pager is busy.', retryable: true });
    for (const attempt of [1, 2, 3]) await page.run(claimed(request, attempt), live());
    const found = await outcomes(request);
    const error = { code: 'pager.busy', message: 'The pager is busy.' };
    expect(found.map(({ type, data }) => ({ type, data }))).toMatchObject([
      { type: 'action.failed', data: { attempt: 1, error, final: false, nextAttemptAt: '2026-11-20T12:00:10.000Z' } },
      { type: 'action.failed', data: { attempt: 2, error, final: false, nextAttemptAt: '2026-11-20T12:01:00.000Z' } },
      { type: 'action.failed', data: { attempt: 3, error, final: true } },
    ]);
    expect(found[2]!.data).not.toHaveProperty('nextAttemptAt');
    for (const { data } of found) expect(satisfies('action.failed', data)).toBe(true);
    expect(calls.map(({ context }) => context.attempt)).toEqual([1, 2, 3]);
    // Each outcome has one place, also in a log that does not know an event by its id for ever.
    expect(store.expected).toEqual(['no-stream', 0n, 1n]);
  });

  it('has the same idempotency key every time, a UUID of this request alone', async () => {
    const [one, other] = [await requested(), await requested()];
    const page = failing({ message: 'x', retryable: true });
    await page.run(claimed(one, 1), live());
    await worker(() => null).run(claimed(one, 2), live());
    await page.run(claimed(other, 1), live());
    const keys = calls.map(({ context }) => context.idempotencyKey);
    expect(keys[0]).toBe(keys[1]);
    expect(keys[0]).not.toBe(keys[2]);
    expect(isUuid(keys[0]!)).toBe(true);
    expect((await outcomes(one))[1]).toMatchObject({ type: 'action.completed', data: { attempts: 2 } });
  });

  it.each([
    [5, '2026-11-20T12:00:10.000Z'],
    [90, '2026-11-20T12:01:30.000Z'],
    [10_000_000, '2026-11-21T12:00:00.000Z'],
    [Number.NaN, '2026-11-20T12:00:10.000Z'],
    [-1, '2026-11-20T12:00:10.000Z'],
  ])('that was asked to wait %d s is repeated no earlier, and within a day', async (retryAfter, nextAttemptAt) => {
    const request = await requested();
    await failing({ message: 'x', retryable: true, retryAfter }).run(claimed(request), live());
    expect((await outcomes(request))[0]!.data).toMatchObject({ final: false, nextAttemptAt });
  });

  it('is the last one where it says so', async () => {
    const request = await requested();
    await failing({ code: 'pager.unknown_team', message: 'No such team.', retryable: false }).run(
      claimed(request),
      live(),
    );
    expect((await outcomes(request))[0]!.data).toMatchObject({ final: true, error: { code: 'pager.unknown_team' } });
  });

  it('may say so with an error of its own making', async () => {
    const request = await requested();
    const error = Object.assign(new Error('Later.'), { code: 'pager.busy', retryable: true });
    await worker(() => Promise.reject(error)).run(claimed(request), live());
    expect((await outcomes(request))[0]!.data).toMatchObject({
      final: false,
      error: { code: 'pager.busy', message: 'Later.' },
    });
  });

  it.each<[string, Error]>([
    ['an error', new TypeError(`cannot read ${SECRET}`)],
    ['an error with a telling name', Object.assign(new Error(SECRET), { name: SECRET })],
    ['a text', SECRET as never],
    ['an object', { config: SECRET } as never],
  ])(
    'by throwing %s is a mistake in its code: final, and what it says is in the log of the server alone',
    async (_, thrown) => {
      const request = await requested();
      await worker(() => Promise.reject(thrown)).run(claimed(request), live());
      const [outcome] = await outcomes(request);
      expect(outcome!.data).toMatchObject({ final: true, error: { code: 'action.bug' } });
      expect(JSON.stringify([outcome!.data, outcome!.metadata])).not.toContain(SECRET);
      expect(logged).toEqual([
        expect.objectContaining({ message: 'an action of a plug-in failed with an unexpected error' }),
      ]);
    },
  );

  it('because it takes too long is told to stop, and tried again; what it says later is of no interest', async () => {
    const request = await requested();
    let late: (() => void) | undefined;
    const slow = worker(() => new Promise((_, reject) => (late = () => reject(new Error('too late')))), {
      timeoutMs: 20,
    });
    await slow.run(claimed(request), live());
    expect(calls[0]!.context.signal.aborted).toBe(true);
    late!();
    await new Promise((resolve) => setImmediate(resolve));
    expect((await outcomes(request)).map(({ data }) => data)).toEqual([
      expect.objectContaining({ final: false, error: expect.objectContaining({ code: 'action.timeout' }) }),
    ]);
  });

  it('because it gives up when its time is over has timed out, whatever it throws then', async () => {
    const request = await requested();
    const obedient = worker(
      ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(new TypeError('aborted')))),
      { timeoutMs: 20 },
    );
    await obedient.run(claimed(request), live());
    expect((await outcomes(request))[0]!.data).toMatchObject({ error: { code: 'action.timeout' }, final: false });
  });

  it('before it begins, because the input does not fit, is final, names the places and repeats no value', async () => {
    const request = await requested({ minutes: SECRET });
    await worker().run(claimed(request), live());
    expect(calls).toEqual([]);
    const [outcome] = await outcomes(request);
    expect(outcome!.data).toMatchObject({
      final: true,
      error: {
        code: 'action.invalid_input',
        problems: [
          { pointer: '/team', detail: '"team" is required.' },
          { pointer: '/minutes', detail: 'Must be a whole number.' },
        ],
      },
    });
    expect(satisfies('action.failed', outcome!.data)).toBe(true);
    expect(JSON.stringify(outcome!.data)).not.toContain(SECRET);
  });
});

describe('a process that dies, or is taken for dead', () => {
  it('between effect and outcome: the effect comes again with the same key, the outcome is one', async () => {
    const request = await requested();
    store.fail = 'before';
    await expect(worker().run(claimed(request), live())).rejects.toBeInstanceOf(Transient);
    expect(await outcomes(request)).toEqual([]);
    await worker().run(claimed(request, 1, 2), live());
    expect(calls).toHaveLength(2);
    expect(new Set(calls.map(({ context }) => context.idempotencyKey)).size).toBe(1);
    expect(await outcomes(request)).toHaveLength(1);
  });

  it('after the outcome: nothing is done again', async () => {
    const request = await requested();
    store.fail = 'after';
    await expect(worker().run(claimed(request), live())).rejects.toBeInstanceOf(Transient);
    const { position } = await worker().run(claimed(request, 1, 2), live());
    expect(calls).toHaveLength(1);
    expect((await outcomes(request)).map((event) => event.position)).toEqual([position]);
  });

  it('does nothing for a row that was rebuilt from the log after the outcome', async () => {
    const request = await requested();
    const page = failing({ message: 'x', retryable: true });
    await page.run(claimed(request, 1), live());
    await worker().run(claimed(request, 2), live());
    calls = [];
    const { position } = await worker().run(claimed(request, 1, 1), live());
    expect(calls).toEqual([]);
    expect(position).toBe((await outcomes(request)).at(-1)!.position);
  });

  it('and goes on all the same records no second outcome', async () => {
    const request = await requested();
    let release: (() => void) | undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const first = worker(() => held.then(() => 'first')).run(claimed(request), live());
    await worker(() => 'second').run(claimed(request, 1, 2), live());
    release!();
    await first;
    expect((await outcomes(request)).map(({ data }) => (data as { output?: unknown }).output)).toEqual(['second']);
  });

  it('that stops leaves the attempt to another one, and records nothing', async () => {
    const request = await requested();
    const stop = new AbortController();
    const running = worker(() => new Promise(() => undefined)).run(claimed(request), stop.signal);
    await new Promise((resolve) => setImmediate(resolve));
    stop.abort(new Transient('work.stopping', 'This process is stopping.'));
    await expect(running).rejects.toMatchObject({ code: 'work.stopping' });
    expect(calls[0]!.context.signal.aborted).toBe(true);
    expect(await outcomes(request)).toEqual([]);
  });

  it('does nothing for a request that is not in the log any more', async () => {
    const request = await requested();
    const work = claimed(request);
    await expect(
      worker().run({ ...work, payload: { ...work.payload, stream: streams.decisions('none') } }, live()),
    ).rejects.toThrow(/no longer in the log/);
    expect(calls).toEqual([]);
  });
});
