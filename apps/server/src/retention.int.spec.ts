import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { type Cause, causedBy, eventIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import type { Retained } from '#libs/events/src/types/retention.events.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { useViews } from '../../../test/support/views.js';
import { SealedLog } from '../../../libs/audit/testing/sealed-log.js';
import { type TamperedLog, tamperedEventStoreDb, tamperedPostgres } from '../../../libs/audit/testing/tampered-log.js';
import { truncateAll } from '../testing/truncate-all.js';
import { exportLog } from '#libs/audit/src/proof/export-log.js';
import { BundleCheck } from '#libs/audit/src/proof/tree/bundle.js';
import { parseVerifierKey } from '#libs/audit/src/proof/tree/note.js';

const ORG = 'org_1';
const OLD = new Date(Date.now() - 100 * 86_400_000);
const views = useViews();

const LOGS: readonly (readonly [string, (url: string) => Promise<TamperedLog>])[] = [
  ['PostgreSQL', tamperedPostgres],
  ['EventStoreDB', tamperedEventStoreDb],
];

describe.each(LOGS)('retention of a log in %s', (name, openLog) => {
  let database: TestDatabase;
  let stored: TamperedLog;
  let store: EventStore;
  let log: SealedLog;
  beforeEach(async () => {
    database = await createTestDatabase();
    stored = await openLog(database.url);
    store = await stored.open();
    log = new SealedLog(store, views.dataSource);
  });
  afterEach(async () => {
    await store.close();
    await stored.close();
    await database.drop();
  });

  const add = async (
    stream: string,
    type = 'git.push',
    { now = OLD, data = {}, cause }: { now?: Date; data?: object; cause?: Cause } = {},
  ): Promise<RecordedEvent> => {
    const context = { id: uuid7(), orgId: ORG, actor: 'test', now, ...(cause && { cause }) };
    const { revision } = await store.append(stream, [newEvent({ type, data }, context)], 'any');
    return (await store.readStream(stream, { from: revision }))[0]!;
  };
  const keep = (days: Partial<Record<Retained, number>>) =>
    add(streams.retention(ORG), 'retention.changed', { data: days, now: new Date() });
  const push = (n: number, more: { now?: Date } = {}) =>
    add(streams.inbound('int_1', String(n)), 'git.push', { data: { secret: `payload-${n}` }, ...more });
  const seal = async () => {
    // Appending may take longer than the clock of the test knows.
    log.clock.advance(3_600_000);
    await log.seal();
    await log.seal(ORG);
  };
  const truncate = async (processed?: bigint) => {
    await truncateAll({ store, database: views.dataSource, ...(processed !== undefined && { processed }) }, ORG);
    await log.keep();
  };
  const left = async (...events: readonly RecordedEvent[]) => {
    const there = new Set((await log.events()).map(({ id }) => id));
    return events.map(({ id }) => there.has(id));
  };

  it('removes payloads that are too old, and the log still verifies, here and in a bundle', async () => {
    const old = [await push(1), await push(2)];
    const middle = await add(streams.rule('rul_1'), 'rule.created');
    old.push(await push(3));
    const young = await push(4, { now: new Date() });
    await keep({ payloads: 30 });
    await seal();
    const { root, size } = await log.verify();
    await truncate();

    expect(await left(...old, middle, young)).toEqual([false, false, false, true, true]);
    expect(JSON.stringify((await log.events()).map(({ dataJson }) => dataJson))).not.toContain('payload-1');
    const whole = await log.verify();
    expect(whole).toMatchObject({ ok: true, truncated: 3, findings: [], size: size + 1 });
    expect(await log.verify({ tree: ORG })).toMatchObject({ ok: true, truncated: 3 });
    await seal();
    expect(await log.verify()).toMatchObject({ ok: true, truncated: 3 });
    expect(root).not.toBe('');

    const parts = { store, database: views.dataSource, keys: log.keys };
    const check = new BundleCheck((await log.keys.verifiers('log')).map(({ vkey }) => parseVerifierKey(vkey)));
    for await (const lines of exportLog(parts, 'log', new AbortController().signal))
      for (const line of lines) check.take(JSON.stringify(line));
    expect(check.result()).toMatchObject({ ok: true, truncated: 3, problems: [] });

    const reader = new EventReader(views.dataSource, store, { whenProcessed: () => Promise.resolve() });
    expect(await reader.find(ORG, eventIdOf(old[0]!.id))).toEqual({ position: old[0]!.position });
  });

  it('takes a second delivery of what was removed for what it is', async () => {
    const old = await push(1);
    await keep({ payloads: 30 });
    await seal();
    await truncate();
    const again = newEvent({ type: 'git.push', data: {} }, { id: uuid7(), orgId: ORG, actor: 'test', now: new Date() });
    await expect(store.append(old.stream, [again], 'no-stream')).rejects.toMatchObject({ actual: 0n });
  });

  it('keeps what no checkpoint covers, and what a subscriber has not processed', async () => {
    const [old, later] = [await push(1), await push(2)];
    await keep({ payloads: 30 });
    await log.keep();
    await truncate();
    expect(await left(old, later)).toEqual([true, true]);
    await seal();
    await truncate(old.position);
    expect(await left(old, later)).toEqual([false, true]);
  });

  it('keeps everything as long as nothing is said', async () => {
    const old = await push(1);
    await seal();
    await truncate();
    expect(await left(old)).toEqual([true]);
  });

  it.each<readonly [string, (event: RecordedEvent) => readonly [string, unknown[]]]>([
    [
      'a run',
      ({ id }) => [
        `insert into views.runs (id, org_id, workflow_id, workflow, version, status, trigger, started_at, correlation_id)
         values ('run_1', $1, 'wf_1', 'w', '1', 'running', 'event', now(), $2)`,
        [ORG, id],
      ],
    ],
    [
      'a delivery',
      ({ id }) => [
        `insert into views.deliveries (id, root_id, org_id, kind, event_id, event_type, event_stream, event_revision,
           own_payload, status, attempts, created_at, position)
         values ('del_1', 'del_1', $1, 'event', $2, 'git.push', 's', 0, false, 'pending', 0, now(), 1)`,
        [ORG, eventIdOf(id)],
      ],
    ],
    [
      'work that is claimed or due',
      ({ position }) => [
        `insert into views.work (queue, key, state, due_at, position, payload)
         values ('actions.messages', $1, 'sleeping', now(), $2, '{}')`,
        ['k', String(position)],
      ],
    ],
    [
      'a burst',
      ({ id, position }) => [
        `insert into views.rule_bursts (rule_id, key, org_id, rule_name, rule_version, event_id, position, started_at, due_at)
         values ('rul_1', '', $1, 'r', 1, $2, $3, 0, 0)`,
        [ORG, eventIdOf(id), String(position)],
      ],
    ],
    [
      'a batch of events',
      ({ id }) => [
        `insert into views.trigger_groups (trigger_id, key, started_at, due_at, events) values ('t', '', 0, 0, $1)`,
        [JSON.stringify([{ eventId: eventIdOf(id) }])],
      ],
    ],
  ])('keeps the whole story while %s is open', async (_, open) => {
    const event = await push(1);
    const verdict = await add(streams.decisions(event.id), 'rule.evaluated', {
      data: { eventId: eventIdOf(event.id), eventType: 'git.push', decisions: [] },
      cause: causedBy(event),
    });
    await keep({ payloads: 30, decisions: 30 });
    await seal();
    const [sql, values] = open(event);
    await views.dataSource.query(sql, values);
    await truncate();
    expect(await left(event, verdict)).toEqual([true, true]);
    for (const table of ['runs', 'deliveries', 'rule_bursts', 'trigger_groups'])
      await views.dataSource.query(`delete from views.${table}`);
    await views.dataSource.query("delete from views.work where queue = 'actions.messages'");
    await truncate();
    expect(await left(event, verdict)).toEqual([false, false]);
  });

  it('removes the rows of decisions, deliveries and runs with their events, and no others', async () => {
    const event = await push(1, { now: new Date() });
    const id = eventIdOf(event.id);
    await add(streams.decisions(event.id), 'rule.evaluated', {
      data: { eventId: id, eventType: 'git.push', decisions: [] },
    });
    const triggered = { events: [{ eventId: id, eventType: 'git.push', decisions: [] }] };
    await add(streams.triggers(ORG, 1n), 'trigger.evaluated', { data: triggered });
    await add(streams.delivery('del_1'), 'delivery.attempted');
    const request = uuid7();
    await add(streams.message(request), 'message.attempted');
    await add(streams.run('run_1'), 'workflow.started');
    await add(streams.run('run_1'), 'workflow.completed');
    await keep({ decisions: 1, attempts: 1, runs: 1 });
    await seal();
    const query = (sql: string, ...values: unknown[]) => views.dataSource.query<{ id: string }[]>(sql, values);
    for (const org of [ORG, 'org_2']) {
      await query(
        `insert into views.decisions (event_id, rule_id, org_id, position, ordinal, event_type, rule_name, rule_version,
           outcome, actions, at) values ($1, $2, $2, 1, 0, 'git.push', 'r', 1, 'matched', '[]', now())`,
        org === ORG ? id : 'evt_other',
        org,
      );
      await query(
        `insert into views.trigger_decisions (event_id, workflow_id, trigger, org_id, event_type, workflow, version, outcome, at)
         values ($1, $2, 0, $2, 'git.push', 'w', '1', 'started', now())`,
        org === ORG ? id : 'evt_other',
        org,
      );
      await query(
        `insert into views.deliveries (id, root_id, org_id, kind, event_id, event_type, event_stream, event_revision,
           own_payload, status, attempts, created_at, position)
         values ($1, $1, $2, 'event', 'evt_x', 'git.push', 's', 0, false, 'success', 1, now(), 1)`,
        org === ORG ? 'del_1' : 'del_2',
        org,
      );
      await query(
        `insert into views.messages (id, org_id, status, integration, text, requested_by, request_stream, request_revision,
           attempts, requested_at, finished_at) values ($1, $2, 'sent', 'i', 't', '{}', 's', 0, 1, now(), now())`,
        org === ORG ? eventIdOf(request) : 'evt_other',
        org,
      );
      await query(
        `insert into views.runs (id, org_id, workflow_id, workflow, version, status, trigger, started_at, ended_at)
         values ($1, $2, 'wf_1', 'w', '1', 'completed', 'event', now(), now())`,
        org === ORG ? 'run_1' : 'run_2',
        org,
      );
      await query(
        "insert into views.run_snapshots (run_id, revision, event_id, arrival, state) values ($1, 0, $2, 0, '{}')",
        org === ORG ? 'run_1' : 'run_2',
        uuid7(),
      );
    }
    await truncate();
    expect(await left(event)).toEqual([true]);
    for (const table of ['decisions', 'trigger_decisions', 'messages'])
      expect(await query(`select org_id as id from views.${table}`)).toEqual([{ id: 'org_2' }]);
    expect(await query('select id from views.deliveries')).toEqual([{ id: 'del_2' }]);
    expect(await query('select id from views.runs')).toEqual([{ id: 'run_2' }]);
    expect(await query('select run_id as id from views.run_snapshots')).toEqual([{ id: 'run_2' }]);
    expect(await log.verify()).toMatchObject({ ok: true, truncated: 6 });
  });

  it('leaves a stream alone that went on after it was chosen', async () => {
    const old = await push(1);
    await keep({ payloads: 30 });
    await seal();
    const append = store.append.bind(store);
    store.append = async (stream, events, expected) => {
      if (stream === streams.truncated(ORG))
        await append(
          old.stream,
          [newEvent({ type: 'git.push', data: {} }, { id: uuid7(), orgId: ORG, actor: 'x', now: new Date() })],
          0n,
        );
      return append(stream, events, expected);
    };
    await truncate();
    expect(await left(old)).toEqual([true]);
    expect(await log.verify()).toMatchObject({ ok: true, truncated: 0 });
  });

  it('does not take for removed what somebody hides without a word in the log', async () => {
    const old = await push(1);
    await seal();
    await store.truncateBefore(old.stream, 1n);
    expect(await log.verify()).toMatchObject({
      ok: false,
      findings: [{ kind: 'missing', eventId: eventIdOf(old.id) }],
    });
  });

  it('removes much in slices, each once', async () => {
    const count = 210;
    await Promise.all(Array.from({ length: count }, (_, n) => push(n)));
    await keep({ payloads: 30 });
    await seal();
    await truncate();
    const slices = await store.readStream(streams.truncated(ORG));
    expect(slices.map((slice) => (slice.is('retention.applied') ? slice.data.events : 0))).toEqual([200, 10]);
    expect(await log.verify()).toMatchObject({ ok: true, truncated: count });
    await truncate();
    expect(await store.readStream(streams.truncated(ORG))).toHaveLength(2);
  });

  if (name === 'PostgreSQL')
    it.each(['audit.truncation-recorded', 'audit.rows-forgotten', 'audit.stream-truncated'])(
      'is finished by the next process where one was killed at %s',
      async (point) => {
        const old = [await push(1), await push(2), await push(3)];
        await keep({ payloads: 30 });
        await seal();
        const child = spawn(
          process.execPath,
          [
            '--conditions=source',
            '--import',
            './test/support/register-ts.mjs',
            'apps/server/testing/truncate-process.ts',
          ].concat(...[views.url, database.url, ORG]),
          {
            cwd: resolve(import.meta.dirname, '../../..'),
            stdio: ['ignore', 'inherit', 'inherit'],
            env: { ...process.env, NODE_OPTIONS: '', MILLRACE_CRASH_AT: point },
          },
        );
        const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
        expect(signal).toBe('SIGKILL');
        expect((await left(...old)).includes(true)).toBe(true);
        await log.keep();
        expect(await log.verify()).toMatchObject({ ok: true });

        await truncate();
        expect(await left(...old)).toEqual([false, false, false]);
        expect(await store.readStream(streams.truncated(ORG))).toHaveLength(1);
        const secrets = await new Promise<string>((done) => done(database.url)).then(async (url) => {
          const { Client } = (await import('pg')).default;
          const client = new Client({ connectionString: url });
          await client.connect();
          const { rows } = await client.query<{ count: string }>(
            "select count(*)::text as count from log.events where convert_from(data, 'UTF8') like '%payload-%'",
          );
          await client.end();
          return rows[0]!.count;
        });
        expect(secrets).toBe('0');
        expect(await log.verify()).toMatchObject({ ok: true, truncated: 3 });
      },
    );
});
