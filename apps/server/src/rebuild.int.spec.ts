import { text } from 'node:stream/consumers';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { StreamableFile } from '@nestjs/common';
import pg from 'pg';

import type { Caller } from '#libs/access/src/caller.js';
import type { Secrets } from '#libs/access/src/secrets/secrets.js';
import { WebhookProjection } from '#libs/deliveries/src/webhook/webhook.projection.js';
import { EventIndex } from '#libs/event-index/src/event-index.projection.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { Quarantine } from '#libs/event-store/src/runner/quarantine.table.js';
import { type Projection, Projections, type SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { DEFAULT_ORG, eventIdOf } from '#libs/events/src/envelope.js';
import type { RebuildAnswer } from '#libs/events/src/shapes/audit/projection-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { created } from '#libs/issues/src/issue.js';
import { IssueProjection } from '#libs/issues/src/issue.projection.js';
import { LOG, silentLog } from '#libs/kernel/src/log.js';
import { SHUTDOWN } from '#libs/kernel/src/shutdown.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';
import { StageProcess } from '#libs/persistence/testing/stage-process.js';

import { useViews } from '../../../test/support/views.js';
import { rebuildOutdated } from '#libs/audit/src/projections/outdated.js';
import { ProjectionController } from '#libs/audit/src/projections/projection.controller.js';
import { ProjectionsModule } from '#libs/audit/src/projections/projections.module.js';
import { RebuildProjection } from '#libs/audit/src/projections/rebuild.projection.js';
import { RebuildRows } from '#libs/audit/src/projections/rebuild-rows.worker.js';
import { RebuildView } from '#libs/persistence/src/rebuild/rebuild.view.js';

const views = useViews({ entities: [RebuildView] });
const admin: Caller = { orgId: DEFAULT_ORG, actor: 'token/tok_1', tokenId: 'tok_1', roles: ['admin'] };

/** Fails at issues with one title; otherwise as the other one. */
class PickyIssues extends IssueProjection {
  refused = '';
  override async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    if (this.refused !== '' && events.some(({ dataJson }) => dataJson.includes(this.refused)))
      throw new Error('too picky');
    await super.handle(events, context);
  }
}

let store: MemoryEventStore;
let quarantine: Quarantine;
let issues: PickyIssues;
/** References of secrets that were thrown away. */
const removed: string[] = [];
let all: readonly Projection[];
let running: StageProcess;
let controller: ProjectionController;

const start = (): Promise<StageProcess> =>
  StageProcess.start({
    ...{ databaseUrl: views.url, store, orgId: DEFAULT_ORG, module: ProjectionsModule, entities: [RebuildView] },
    provided: [
      [Projections, { all }],
      [Quarantine, quarantine],
      [LOG, silentLog],
      [SHUTDOWN, new AbortController().signal],
    ],
    runs: (find) => ({ subscribers: [find(RebuildProjection), ...all], workers: [find(RebuildRows)] }),
  });
beforeEach(async () => {
  store = new MemoryEventStore();
  quarantine = new Quarantine();
  issues = new PickyIssues();
  removed.length = 0;
  const secrets = { remove: (gone: readonly string[]) => Promise.resolve(removed.push(...gone)) } as unknown as Secrets;
  all = [issues, new EventIndex(), new WebhookProjection(secrets)];
  running = await start();
  controller = running.find(ProjectionController);
});
afterEach(() => running.stop());

const open = (number: number): Promise<RecordedEvent> =>
  running.append('issue.created', created(`iss_${number}`, { title: `issue ${number}`, status: 'open', labels: [] }), {
    stream: streams.issue(`iss_${number}`),
  });
async function opened(count: number): Promise<void> {
  for (let number = 1; number <= count; number++) await open(number);
  for (const { name } of all) await running.runner.whenProcessed(name, await store.head());
}
const ended = ({ projection, id }: RebuildAnswer): Promise<RebuildAnswer> =>
  waitFor('the rebuild to end', async () => {
    const row = (await controller.progressOf(admin, projection, id, '', { header: () => 0 })) as RebuildAnswer;
    return row.status !== 'running' && row;
  });
const rebuilt = async (name: string): Promise<RebuildAnswer> => ended(await controller.rebuild(admin, name));
const verified = async (name: string): Promise<RebuildAnswer> => ended(await controller.verify(admin, name));
const rowsOf = (sql: string): Promise<unknown> => views.dataSource.query(sql);
const leftovers = (): Promise<unknown> => rowsOf(`select nspname from pg_namespace where nspname like 'rebuild%'`);
/** Columns, defaults, keys, indexes and settings of tables. */
const shapeOf = (): Promise<unknown> =>
  rowsOf(`
    select 'column' as kind, table_name, column_name || ' ' || data_type || ' ' || is_nullable || coalesce(column_default, '') as is
      from information_schema.columns where table_schema = 'views'
    union all select 'index', tablename, indexdef from pg_indexes where schemaname = 'views'
    union all select 'constraint', conrelid::regclass::text, conname || pg_get_constraintdef(oid) from pg_constraint
      where connamespace = 'views'::regnamespace
    union all select 'options', relname, array_to_string(reloptions, ',') from pg_class where relnamespace = 'views'::regnamespace
    order by 1, 2, 3`);

/** Somebody reads the live table for long: it cannot be locked. */
async function whileRead(work: () => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: views.url });
  await client.connect();
  await client.query('begin; lock table views.issues in access share mode');
  try {
    await work();
  } finally {
    await client.end();
  }
}

describe('a verification', () => {
  it('names the rows that differ from what the log makes, and changes none', async () => {
    await opened(5);
    expect(await verified('issues.views')).toMatchObject({ status: 'same', differing: 0, events: 5 });
    await rowsOf(`update views.issues set title = 'forged', status = 'closed' where id = 'iss_2'`);
    await rowsOf(`delete from views.issues where id = 'iss_3'`);
    await rowsOf(
      `insert into views.issue_comments (id, issue_id, org_id, position, body, created_by, created_at)
       values ('com_1', 'iss_1', 'org', 1, 'surplus', 'x', now())`,
    );
    const before = await rowsOf('select * from views.issues order by id');
    expect(await verified('issues.views')).toMatchObject({
      ...{ status: 'different', differing: 3 },
      rows: [
        { table: 'issues', key: 'id=iss_2', kind: 'changed', columns: ['title', 'status'] },
        { table: 'issues', key: 'id=iss_3', kind: 'missing' },
        { table: 'issue_comments', key: 'id=com_1', kind: 'surplus' },
      ],
    });
    expect(await rowsOf('select * from views.issues order by id')).toEqual(before);
    expect(await leftovers()).toEqual([]);
  });

  it('names the first hundred rows and counts the others', async () => {
    await opened(120);
    await rowsOf(`update views.issues set team = 'forged'`);
    const { differing, rows } = await verified('issues.views');
    expect({ differing, named: rows?.length }).toEqual({ differing: 120, named: 100 });
  });
});

describe('a rebuild', () => {
  it('puts rows made from the log in the place of the live ones, with the same keys and indexes', async () => {
    await opened(20);
    const rows = await rowsOf('select * from views.issues order by id');
    const entries = await rowsOf('select * from views.events order by position');
    const shape = await shapeOf();
    await rowsOf(`update views.issues set title = 'forged'; delete from views.events where position < 10`);
    expect(await rebuilt('issues.views')).toMatchObject({ status: 'rebuilt', events: 20 });
    expect(await rebuilt('audit.events')).toMatchObject({ status: 'rebuilt' });
    expect(await rowsOf('select * from views.issues order by id')).toEqual(rows);
    await running.runner.whenProcessed('audit.events', await store.head());
    expect(await rowsOf('select * from views.events order by position limit 20')).toEqual(entries);
    expect(await shapeOf()).toEqual(shape);
    expect(await leftovers()).toEqual([]);
    expect((await verified('issues.views')).status).toBe('same');
  });

  it('goes on beside live writes, which lose nothing', async () => {
    await opened(50);
    const jobs = [rebuilt('issues.views'), rebuilt('audit.events')];
    for (let number = 51; number <= 150; number++) await open(number);
    for (const done of await Promise.all(jobs)) expect(done.status).toBe('rebuilt');
    for (let number = 151; number <= 160; number++) await open(number);
    for (const { name } of all) await running.runner.whenProcessed(name, await store.head());
    expect(await rowsOf('select count(*)::int from views.issues')).toEqual([{ count: 160 }]);
    for (const { name } of all) {
      const { status, error, rows } = await verified(name);
      expect({ name, status, error, rows }).toEqual({ name, status: 'same', rows: [] });
    }
    expect(await running.runner.parked()).toEqual([]);
  });

  it('is the only one of its projection; the same request again finds it', async () => {
    await opened(3);
    await whileRead(async () => {
      const caller = { ...admin, idempotencyKey: 'once' };
      const first = await controller.rebuild(caller, 'issues.views');
      await expect(controller.verify(admin, 'issues.views')).rejects.toMatchObject({ code: 'projection.busy' });
      expect((await controller.rebuild(caller, 'issues.views')).id).toBe(first.id);
      expect((await controller.view('issues.views')).rebuild).toBe(first.id);
      expect((await rebuilt('audit.events')).status).toBe('rebuilt');
      expect((await controller.cancel(admin, 'issues.views', first.id)).status).toBe('cancelled');
    });
    expect((await rebuilt('issues.views')).status).toBe('rebuilt');
    const { data } = await controller.rebuilds(admin, 'issues.views');
    expect(data.map(({ status }) => status)).toEqual(['rebuilt', 'cancelled']);
  });

  it('leaves the live rows when it is cancelled, and nothing behind', async () => {
    await opened(3);
    await rowsOf(`update views.issues set title = 'kept'`);
    await whileRead(async () => {
      const { id } = await controller.rebuild(admin, 'issues.views');
      await waitFor('the tables', async () => ((await leftovers()) as object[]).length === 1);
      await controller.cancel(admin, 'issues.views', id);
      // Again has no effect.
      expect((await controller.cancel(admin, 'issues.views', id)).status).toBe('cancelled');
    });
    await waitFor('the work to end', async () => ((await rowsOf('select from views.work')) as object[]).length === 0);
    expect(await rowsOf('select distinct title from views.issues')).toEqual([{ title: 'kept' }]);
    expect(await leftovers()).toEqual([]);
  });

  it('goes on in another process where it was', async () => {
    await opened(30);
    let job: RebuildAnswer | undefined;
    await whileRead(async () => {
      job = await controller.rebuild(admin, 'issues.views');
      await waitFor('all of it but the end', async () => {
        const [row] = (await rowsOf('select events::int from views.projection_rebuilds')) as { events: number }[];
        return row?.events === 30;
      });
      await running.stop();
    });
    running = await start();
    controller = running.find(ProjectionController);
    // Had it begun anew, it would have counted the events twice or have made the tables again.
    expect(await ended(job!)).toMatchObject({ status: 'rebuilt', events: 30 });
    expect((await verified('issues.views')).status).toBe('same');
  });

  it('that meets an event that it cannot fold ends, names it and leaves the live rows', async () => {
    await opened(5);
    issues.refused = 'issue 3';
    const { status, error } = await rebuilt('issues.views');
    expect({ status, error }).toEqual({
      status: 'failed',
      error: 'The event at position 3 cannot be folded: too picky',
    });
    expect(await rowsOf('select count(*)::int from views.issues')).toEqual([{ count: 5 }]);
    expect(await leftovers()).toEqual([]);
  });

  it('leaves out what the running projection has parked', async () => {
    issues.refused = 'issue 2';
    await opened(3);
    await waitFor('the event to be parked', async () => (await running.runner.parked()).length === 1);
    expect(await rebuilt('issues.views')).toMatchObject({ status: 'rebuilt', events: 3 });
    expect(await rowsOf('select id from views.issues order by id')).toEqual([{ id: 'iss_1' }, { id: 'iss_3' }]);
  });

  it('makes rows and does nothing else', async () => {
    const stream = streams.webhook('whk_1');
    const settings = { url: 'https://example.com/', events: ['*'], format: 'platform' as const, timeoutMs: 1 };
    const registered = { webhookId: 'whk_1', settings, secret: 'whk_1/secret/1', disabled: true };
    await running.append('webhook.registered', registered, { stream });
    const { position } = await running.append('webhook.deleted', { webhookId: 'whk_1' }, { stream });
    await running.runner.whenProcessed('deliveries.webhook-views', position);
    expect(removed).toEqual(['whk_1/secret/1']);
    expect(await rebuilt('deliveries.webhook-views')).toMatchObject({ status: 'rebuilt', events: 2 });
    expect(removed).toEqual(['whk_1/secret/1']);
  });

  it('passes over what is in quarantine', async () => {
    await opened(2);
    const bad = await open(3);
    const { id } = bad;
    quarantine.apply(await running.append('event.quarantined', { eventId: eventIdOf(id), reason: 'bad' }));
    await running.runner.whenProcessed('issues.views', bad.position);
    expect(await verified('issues.views')).toMatchObject({ rows: [{ key: 'id=iss_3', kind: 'surplus' }] });
    await rebuilt('issues.views');
    expect(await rowsOf('select id from views.issues order by id')).toEqual([{ id: 'iss_1' }, { id: 'iss_2' }]);
  });

  it('writes into no table that its projection does not name', async () => {
    await opened(1);
    const keeps = { tables: ['issue_comments'], foldVersion: 1 };
    Object.defineProperty(issues, 'keeps', { value: keeps });
    expect((await rebuilt('issues.views')).error).toContain('does not touch views.issues');
  });
});

describe('projections', () => {
  it('are listed with their version, how far they are and how many rows they have', async () => {
    await opened(4);
    const { data } = await controller.list();
    const head = String(await store.head());
    expect(data[0]).toMatchObject({
      ...{ name: 'issues.views', tables: ['issues', 'issue_comments'], foldVersion: 1, head, rebuild: null },
    });
    await expect(controller.view('rules.table')).rejects.toMatchObject({ code: 'projection.not_found' });
  });

  it('are rebuilt by admins of the installation alone', async () => {
    const other = { ...admin, orgId: 'org_2' };
    await expect(controller.rebuild(other, 'issues.views')).rejects.toMatchObject({
      code: 'projection.not_installation',
    });
  });

  it('show how far a rebuild is until it has ended', async () => {
    await opened(3);
    const { id } = await controller.rebuild(admin, 'issues.views');
    const answer = await controller.progressOf(admin, 'issues.views', id, 'text/event-stream', { header: () => 0 });
    const sent = await text((answer as StreamableFile).getStream());
    const last = sent.trimEnd().split('\n\n').at(-1)!;
    expect(JSON.parse(last.replace('data: ', ''))).toMatchObject({ id, status: 'rebuilt', events: 3 });
  });

  it('whose rows an earlier version of the code made are rebuilt at the start, once', async () => {
    await opened(2);
    const clock = { now: () => new Date() };
    const outdated = () => rebuildOutdated({ all }, views.dataSource, { store, clock });
    await outdated();
    expect(await running.logged('projection.rebuild_requested')).toEqual([]);
    Object.defineProperty(issues, 'keeps', { value: { ...issues.keeps, foldVersion: 2 } });
    await Promise.all([outdated(), outdated()]);
    const [request, ...more] = await running.logged('projection.rebuild_requested');
    expect(more).toEqual([]);
    await waitFor('the rebuild', async () => (await controller.view('issues.views')).rowsVersion === 2);
    expect(request!.metadata.actor).toBe('millrace');
    await outdated();
    expect(await running.logged('projection.rebuild_requested')).toHaveLength(1);
  });
});
