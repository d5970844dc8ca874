import { beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { causedBy, DEFAULT_ORG, eventIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected, Transient } from '#libs/kernel/src/errors.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { useViews } from '../../../../test/support/views.js';
import { answerOf, auditor, linesOf, ReplayedLog } from '../../testing/replayed-log.js';
import { ReplayView } from './replay.view.js';

const views = useViews({ entities: [ReplayView] });
const other = { ...auditor, orgId: 'org_2' };

let store: MemoryEventStore;
let log: ReplayedLog;
beforeEach(() => {
  store = new MemoryEventStore();
  log = new ReplayedLog(store, views.dataSource);
});

const numbers = async (id: string) =>
  (await log.resultsOf(id)).map(({ event }) => (event as { data: { n: number } }).data.n);
const many = async (count: number) => {
  const events = Array.from({ length: count }, (_, n) =>
    newEvent({ type: 'thing.happened', data: { n } }, { id: uuid7(), orgId: DEFAULT_ORG, actor: 'x', now: new Date() }),
  );
  for (let n = 0; n < count; n += 400) await store.append(`many-${n}`, events.slice(n, n + 400), 'no-stream');
};

describe('a request to replay the log', () => {
  it('names everything that is wrong with it', async () => {
    const body = { mode: 'inspect', from: 'yesterday', to: 'x', filter: { correlation: 'y', expression: 'a[' } };
    await expect(log.controller.create(auditor, body)).rejects.toMatchObject({
      code: 'replay.invalid',
      problems: ['/from', '/to', '/filter/correlation', '/filter/expression'].map((pointer) =>
        expect.objectContaining({ pointer }),
      ),
    });
    for (const wrong of [{}, { mode: 'x' }, { mode: 'inspect', speed: 0 }, { mode: 'inspect', filter: { a: 1 } }])
      await expect(log.controller.create(auditor, wrong)).rejects.toMatchObject({ code: 'request.invalid' });
  });

  it('is made once where it is sent again with its key', async () => {
    const keyed = { ...auditor, idempotencyKey: 'once' };
    const [one, two] = [await log.replay({ mode: 'inspect' }, keyed), await log.replay({ mode: 'inspect' }, keyed)];
    expect(two).toEqual(one);
    expect((await log.controller.list(auditor)).data).toEqual([one]);
  });
});

describe('inspect', () => {
  it('lists the events that the filter selects, in the order of the log', async () => {
    const [push] = [await log.append('git.push', { n: 1, branch: 'main' }, { source: 'github', subject: 'a/b' })];
    await log.append('git.push', { n: 2, branch: 'topic' }, { source: 'gitlab', subject: 'a/c' });
    await log.append('pr.opened', { n: 3 }, { source: 'github', cause: causedBy(push) });
    await log.append('git.push', { n: 4, branch: 'main' }, { orgId: 'org_2' });
    const last = await log.append('git.push', { n: 5, branch: 'main' });
    const found = async (filter: object, more: object = {}) => {
      const { id, status, results, selected } = await log.replay({ mode: 'inspect', filter, ...more });
      expect(status).toBe('finished');
      const list = await numbers(id);
      expect([results, selected]).toEqual([list.length, list.length]);
      return list;
    };
    expect(await found({ type: 'git.*' })).toEqual([1, 2, 5]);
    expect(await found({ type: ['pr.opened', 'git.tag_pushed'] })).toEqual([3]);
    expect(await found({ type: 'git.*', source: 'git*' })).toEqual([1, 2]);
    expect(await found({ subject: 'a/*' })).toEqual([1, 2]);
    expect(await found({ correlation: eventIdOf(push.id) })).toEqual([1, 3]);
    expect(await found({ type: '*', expression: "data.branch == 'main'" })).toEqual([1, 5]);
    expect(await found({ type: '*' }, { from: '2026-11-20T12:00:02Z', to: '2026-11-20T12:00:05Z' })).toEqual([2, 3]);
    expect(await found({ type: '*' }, { from: String(push.position), to: String(push.position) })).toEqual([1]);
    expect(await found({ type: '*' }, { from: String(last.position) })).toEqual([5]);
    expect(await found({ type: 'release.published' })).toEqual([]);
  });

  it('shows the decisions and effects that followed', async () => {
    const push = await log.append('git.push', { n: 1 });
    const request = await log.append('webhook.requested', {}, { cause: causedBy(push, 'rul_1') });
    await log.append('rule.evaluated', {}, { cause: causedBy(push) });
    const delivered = await log.append('webhook.delivered', {}, { cause: causedBy(request) });
    const decision = { kind: 'rule', ruleId: 'rul_1', outcome: 'matched' };
    log.decisions.add({
      decisionsOn: ({ eventId }) =>
        Promise.resolve(eventId === eventIdOf(push.id) ? [{ key: 'rul_1', shown: decision as never }] : []),
    });
    const { id } = await log.replay({ mode: 'inspect', filter: { type: ['git.push', 'webhook.requested'] } });
    expect(await log.resultsOf(id)).toMatchObject([
      {
        position: String(push.position),
        event: { id: eventIdOf(push.id), type: 'git.push', data: { n: 1 } },
        decisions: [decision],
        effects: {
          count: 2,
          complete: true,
          events: [
            { type: 'webhook.requested', causationId: eventIdOf(push.id) },
            { id: eventIdOf(delivered.id), causationId: eventIdOf(request.id) },
          ],
        },
      },
      { event: { type: 'webhook.requested' }, decisions: [], effects: { count: 1 } },
    ]);
  });

  it('plays events with the gaps that they had', async () => {
    for (let n = 1; n <= 3; n++) await log.append('git.push', { n });
    const { id } = await log.controller.create(auditor, { mode: 'inspect', filter: { type: 'git.push' }, speed: 0.5 });
    expect(await log.turn(id)).toMatchObject({ againAfterMs: 2_000 });
    expect(await numbers(id)).toEqual([1]);
    expect(await log.turn(id)).toMatchObject({ againAfterMs: 2_000 });
    log.clock.advance(2_000);
    expect(await log.turn(id)).toMatchObject({ againAfterMs: 2_000 });
    expect(await numbers(id)).toEqual([1, 2]);
    log.clock.advance(2_000);
    expect((await log.turn(id)).againAfterMs).toBeUndefined();
    expect(await log.controller.view(auditor, id)).toMatchObject({ status: 'finished', results: 3 });
  });
});

describe('what if', () => {
  it('compares decisions of now with those of then, event by event, and records nothing but its own life', async () => {
    const asked: unknown[] = [];
    log.worlds.add({
      worldOf: (request) => {
        asked.push({ at: request.at, chosen: request.chosen, log: Object.keys(request.log) });
        return Promise.resolve({
          isAsked: () => true,
          decide: ({ data }) =>
            (data as { n: number }).n === 3
              ? []
              : [{ kind: 'rule', by: 'rul_1', name: 'r', version: '2', outcome: 'matched', requests: [] }],
        });
      },
    });
    for (let n = 1; n <= 3; n++) await log.append('git.push', { n });
    const decided = { kind: 'rule', ruleId: 'rul_1', ruleName: 'r', ruleVersion: 1, outcome: 'matched', actions: [] };
    log.decisions.add({ decisionsOn: () => Promise.resolve([{ key: 'rul_1', shown: decided as never }]) });
    const head = await store.head();
    const replay = await log.replay({ mode: 'what_if', filter: { type: 'git.push' }, with: { at: '1' } });
    expect(replay).toMatchObject({ status: 'finished', results: 3, differences: 1 });
    expect(await log.resultsOf(replay.id)).toMatchObject([
      { event: { data: { n: 1 } }, now: [{ version: '2' }], then: [{ version: '1' }], differences: [] },
      { event: { data: { n: 2 } }, differences: [] },
      { event: { data: { n: 3 } }, now: [], differences: [{ by: 'rul_1', difference: 'acts_no_longer' }] },
    ]);
    const differing = await answerOf((reply) =>
      log.results.list(auditor, replay.id, reply, undefined, undefined, undefined, undefined, 'true'),
    );
    expect(JSON.parse(differing)).toMatchObject({ data: [{ event: { data: { n: 3 } } }], nextCursor: null });
    expect(asked).toEqual([{ at: 1n, chosen: { at: '1' }, log: ['readAll', 'readStream'] }]);
    const since = await store.readAll({ after: head, limit: 100 });
    expect(since.events.map(({ type }) => type)).toEqual(['replay.requested', 'replay.started', 'replay.finished']);
  });

  it('is refused at once where what it asks for is wrong', async () => {
    const wrong = {
      mode: 'what_if',
      speed: 2,
      with: { at: 'x', rules: [{}, { draft: {}, version: 1 }], workflows: [{}, { source: 'a', version: '1' }] },
    };
    await expect(log.controller.create(auditor, wrong)).rejects.toMatchObject({
      problems: [
        '/speed',
        '/with/at',
        '/with/rules/0',
        '/with/rules/1/version',
        '/with/workflows/0',
        '/with/workflows/1/version',
      ].map((pointer) => expect.objectContaining({ pointer })),
    });
    await expect(log.controller.create(auditor, { mode: 'inspect', with: {} })).rejects.toMatchObject({
      code: 'replay.invalid',
    });
    const missing = new Rejected('invalid', 'replay.unknown_rule', 'no');
    log.worlds.add({ worldOf: () => Promise.reject(missing) });
    const body = { mode: 'what_if', with: { rules: [{ ruleId: 'rul_x' }] } };
    await expect(log.controller.create(auditor, body)).rejects.toBe(missing);
    await expect(log.controller.create(auditor, { mode: 'what_if', with: { at: '99' } })).rejects.toMatchObject({
      code: 'as_of.in_future',
    });
  });
});

describe('a rerun', () => {
  const admin = { ...auditor, roles: ['admin'] as const };
  const body = { mode: 'rerun', filter: { type: 'git.push' }, with: { rules: [{ ruleId: 'rul_1' }] }, rate: 2 };
  const place = { stream: 'x', revision: '0' };
  /** The rule acts on odd numbers, and refuses to act on 5. */
  const addRule = () =>
    log.worlds.add({
      worldOf: () =>
        Promise.resolve({
          isAsked: () => true,
          decide: ({ id, data }) => {
            const { n } = data as { n: number };
            if (n % 2 === 0) return [];
            const requestedBy = { kind: 'rule', ruleId: 'rul_1', ruleVersion: 1, index: 0 };
            const request = {
              type: 'issue.requested',
              data: { requestedBy, eventId: eventIdOf(id), event: place, title: `n ${n}` },
            };
            const requests = [n === 5 ? { ...request, refused: 'too-many-hops' } : request];
            return [{ kind: 'rule', by: 'rul_1', name: 'r', version: '1', outcome: 'matched', requests }];
          },
        }),
    });
  const reruns = async () =>
    (await store.readAll({ limit: 1_000, filter: { types: ['replay.event_rerun', 'issue.requested'] } })).events;

  it('needs an admin, and the number of events that are acted on', async () => {
    addRule();
    for (let n = 1; n <= 5; n++) await log.append('git.push', { n });
    await expect(log.controller.create(auditor, body)).rejects.toMatchObject({ code: 'replay.needs_admin' });
    for (const confirm of [undefined, 3])
      await expect(log.controller.create(admin, { ...body, confirm })).rejects.toMatchObject({
        kind: 'conflict',
        code: 'replay.other_count',
        problems: [{ pointer: '/confirm', detail: expect.stringContaining('Must be 2') }],
      });
    const none = { ...body, filter: { type: 'pr.opened' }, confirm: 0 };
    await expect(log.controller.create(admin, none)).rejects.toMatchObject({ code: 'replay.other_count' });
    expect(await reruns()).toEqual([]);
    for (const chosen of [
      undefined,
      {},
      { at: '1', rules: [{ ruleId: 'rul_1', version: 1 }] },
      { workflows: [{ source: 'x' }] },
    ])
      await expect(log.controller.create(admin, { ...body, with: chosen, confirm: 2 })).rejects.toMatchObject({
        code: 'replay.invalid',
      });
    await expect(log.controller.create(auditor, { mode: 'inspect', confirm: 1, rate: 2 })).rejects.toMatchObject({
      problems: [{ pointer: '/rate' }, { pointer: '/confirm' }],
    });
  });

  it('begins a story of its own for each event, at its rate', async () => {
    addRule();
    const first = await log.append(
      'git.push',
      { n: 1 },
      { cause: { $correlationId: uuid7(), hop: 9, personal: ['key'] } },
    );
    for (let n = 2; n <= 9; n++) await log.append('git.push', { n });
    const { id } = await log.controller.create(admin, { ...body, confirm: 4 });
    expect(await log.turn(id)).toMatchObject({ againAfterMs: 1_000 });
    expect(await reruns()).toHaveLength(4);
    expect(await log.turn(id)).toMatchObject({ againAfterMs: 1_000 });
    while ((await log.turn(id)).againAfterMs !== undefined);
    expect(await log.controller.view(admin, id)).toMatchObject({ status: 'finished', selected: 9, results: 4 });
    const [head, request, ...others] = await reruns();
    expect(others).toHaveLength(6);
    expect(head).toMatchObject({
      type: 'replay.event_rerun',
      data: {
        replayOf: eventIdOf(first.id),
        decisions: [{ by: 'rul_1', actions: [{ requestId: eventIdOf(request!.id) }] }],
      },
      metadata: { $correlationId: head!.id, hop: 0, actor: admin.actor, personal: ['key'] },
    });
    expect(head!.metadata.$causationId).toBeUndefined();
    expect(request).toMatchObject({
      data: { title: 'n 1', eventId: eventIdOf(first.id) },
      metadata: { $correlationId: head!.id, $causationId: head!.id, hop: 1, causedBy: ['rul_1'], personal: ['key'] },
    });
    expect(await log.resultsOf(id, admin)).toMatchObject([
      {
        event: { id: eventIdOf(first.id) },
        rerun: { id: eventIdOf(head!.id), decisions: [{ by: 'rul_1' }] },
        effects: { count: 1, events: [{ type: 'issue.requested' }] },
      },
      { event: { data: { n: 3 } } },
      { event: { data: { n: 7 } } },
      { event: { data: { n: 9 } } },
    ]);
  });

  it('acts once on each event where it dies before it is saved, and again in another replay', async () => {
    addRule();
    for (let n = 1; n <= 3; n++) await log.append('git.push', { n });
    const ask = { ...body, rate: 1_000, confirm: 2 };
    const { id } = await log.controller.create(admin, ask);
    const dying = Object.assign(Object.create(log.rows) as typeof log.rows, {
      save: () => Promise.reject(new Error('killed')),
    });
    await expect(log.turn(id, log.worker({ rows: dying }))).rejects.toThrow('killed');
    expect(await reruns()).toHaveLength(4);
    while ((await log.turn(id)).againAfterMs !== undefined);
    expect(await reruns()).toHaveLength(4);
    expect(await log.controller.view(admin, id)).toMatchObject({ status: 'finished', results: 2 });
    await log.replay(ask, admin);
    expect(await reruns()).toHaveLength(8);
  });

  it('lets a workflow run about the event', async () => {
    const act = { kind: 'workflow', by: 'wf_1', name: 'sync', version: '1', outcome: 'started' } as const;
    const requests = [{ type: 'workflow.requested', data: { workflow: 'sync', inputs: {} } }];
    log.worlds.add({
      worldOf: () => Promise.resolve({ isAsked: () => true, decide: () => [{ ...act, requests }] }),
    });
    const event = await log.append('git.push', { n: 1 });
    await log.replay({ ...body, with: { workflows: [{ workflow: 'sync' }] }, confirm: 1 }, admin);
    const { events } = await store.readAll({ limit: 10, filter: { types: ['workflow.requested'] } });
    expect(events).toMatchObject([
      {
        data: {
          ...{ workflow: 'sync', inputs: {}, eventId: eventIdOf(event.id) },
          event: { stream: event.stream, revision: '0' },
          requestedBy: { kind: 'manual', by: admin.actor },
        },
        metadata: { hop: 1, actor: admin.actor },
      },
    ]);
    expect(events[0]!.metadata.causedBy).toBeUndefined();
  });
});

describe('a replay', () => {
  it('goes on in another process where it was saved, and finds each event once', async () => {
    await many(1_200);
    const { id } = await log.controller.create(auditor, { mode: 'inspect', filter: { type: 'thing.happened' } });
    let reads = 0;
    const failing = Object.assign(Object.create(store) as MemoryEventStore, {
      readAll: (...given: Parameters<MemoryEventStore['readAll']>) =>
        ++reads > 1 ? Promise.reject(new Transient('log.unavailable', 'gone')) : store.readAll(...given),
    });
    await expect(log.turn(id, log.worker({ store: failing }))).rejects.toThrow('gone');
    await log.follow();
    expect(await log.controller.view(auditor, id)).toMatchObject({ status: 'running', results: 500, percent: 41.6 });
    await log.turn(id);
    expect(await log.controller.view(auditor, id)).toMatchObject({ looked: 1_200, results: 1_200, percent: 100 });
    expect(await numbers(id)).toEqual(Array.from({ length: 1_200 }, (_, n) => n));
    const recorded = await store.readStream(streams.replay(id));
    expect(recorded.map(({ type }) => type)).toEqual(['replay.requested', 'replay.started', 'replay.finished']);
  });

  it('is left to the process that has come further', async () => {
    await many(600);
    const { id } = await log.controller.create(auditor, { mode: 'inspect', filter: { type: 'thing.happened' } });
    const slow = Object.assign(Object.create(log.rows) as typeof log.rows, {
      save: async (...given: Parameters<typeof log.rows.save>) => {
        await log.turn(id);
        return log.rows.save(...given);
      },
    });
    await expect(log.turn(id, log.worker({ rows: slow }))).rejects.toMatchObject({ code: 'replay.taken_over' });
    expect(await log.controller.view(auditor, id)).toMatchObject({ status: 'finished', looked: 600, results: 600 });
  });

  it('ends at the event that was the newest when it was requested', async () => {
    await many(3);
    const { id } = await log.controller.create(auditor, { mode: 'inspect', filter: { type: 'thing.happened' } });
    await log.append('thing.happened', { n: 99 });
    await log.turn(id);
    expect(await numbers(id)).toEqual([0, 1, 2]);
  });

  it('stops when it is cancelled, and keeps what it has found', async () => {
    for (let n = 1; n <= 3; n++) await log.append('git.push', { n });
    const { id } = await log.controller.create(auditor, { mode: 'inspect', filter: { type: 'git.push' }, speed: 1 });
    await log.turn(id);
    expect(await log.controller.cancel(auditor, id)).toMatchObject({ status: 'cancelled', results: 1 });
    expect(await log.controller.cancel(auditor, id)).toMatchObject({ status: 'cancelled' });
    expect((await log.turn(id)).againAfterMs).toBeUndefined();
    expect(await numbers(id)).toEqual([1]);
    expect(await views.dataSource.query(`select * from views.work where queue = 'audit.replays'`)).toEqual([]);
  });

  it('says why it failed', async () => {
    await log.append('git.push', { text: 'some text' });
    const doubling = Array(100).fill("join('', [@, @])").join(' | ');
    const replay = await log.replay({
      mode: 'inspect',
      filter: { type: 'git.push', expression: `data.text | ${doubling}` },
    });
    expect(replay).toMatchObject({
      status: 'failed',
      error: { code: 'expression.too_costly' },
    });
  });

  it('belongs to its organisation', async () => {
    const { id } = await log.replay({ mode: 'inspect' });
    const missing = { code: 'replay.not_found' };
    await expect(log.controller.view(other, id)).rejects.toMatchObject(missing);
    await expect(log.controller.cancel(other, id)).rejects.toMatchObject(missing);
    await expect(log.resultsOf(id, other)).rejects.toMatchObject(missing);
    await expect(answerOf((reply) => log.results.progress(other, id, reply))).rejects.toMatchObject(missing);
    expect((await log.controller.list(other)).data).toEqual([]);
  });

  it('is followed to its end', async () => {
    await log.append('git.push', { n: 1 });
    const { id } = await log.controller.create(auditor, { mode: 'inspect', filter: { type: 'git.push' } });
    const followed = answerOf((reply) => log.results.progress(auditor, id, reply));
    const results = answerOf((reply) =>
      log.results.list(auditor, id, reply, 'application/x-ndjson', undefined, undefined, 'true'),
    );
    await log.turn(id);
    const lines = linesOf(await followed);
    expect(lines.at(-1)).toMatchObject({ result: { status: 'finished', results: 1 } });
    expect(lines.slice(0, -1).every((line) => 'progress' in line)).toBe(true);
    expect(linesOf(await results)).toMatchObject([{ event: { data: { n: 1 } } }]);
    const events = await answerOf((reply) => log.results.progress(auditor, id, reply, 'text/event-stream'));
    expect(events).toMatch(/^event: end\ndata: \{"id":"rpl_/);
  });

  it('gives its results page by page', async () => {
    for (let n = 1; n <= 3; n++) await log.append('git.push', { n });
    const { id } = await log.replay({ mode: 'inspect', filter: { type: 'git.push' } });
    const page = async (cursor?: string) =>
      JSON.parse(await answerOf((reply) => log.results.list(auditor, id, reply, undefined, '2', cursor))) as {
        data: { event: { data: { n: number } } }[];
        nextCursor: string | null;
      };
    const first = await page();
    expect(first.data.map(({ event }) => event.data.n)).toEqual([1, 2]);
    const second = await page(first.nextCursor!);
    expect(second).toMatchObject({ data: [{ event: { data: { n: 3 } } }], nextCursor: null });
  });
});
