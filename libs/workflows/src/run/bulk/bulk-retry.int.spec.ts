import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { BulkRetryAnswer, BulkRetryStart } from '#libs/events/src/shapes/run-shape.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../../../../test/support/database.js';
import { answered, Running } from '../../../testing/running.js';

let database: TestDatabase;
let store: MemoryEventStore;
let one: Running;
beforeEach(async () => {
  database = await createTestDatabase();
  store = new MemoryEventStore();
  one = await Running.start({ databaseUrl: database.url, store });
});
afterEach(async () => {
  await one.stop();
  await database.drop();
});

const yaml = (name: string, more = '') => `name: ${name}
${more}
triggers: [{ type: manual, inputs: { to: { type: string, default: a }, count: { type: number, default: 1 } } }]
steps: [{ id: call, uses: call, with: { to: "\${{ inputs.to }}" }, retry: { maxAttempts: 1 } }]
`;
const request = (body: object, idempotencyKey?: string): Promise<BulkRetryStart> =>
  one.bulk.request({ ...one.caller, ...(idempotencyKey !== undefined && { idempotencyKey }) }, { body });
const untilEnded = (id: string): Promise<BulkRetryAnswer> =>
  waitFor('the retries to end', async () => {
    const shown = await one.bulk.view(one.caller, id);
    return shown.status !== 'running' && shown;
  });

async function failed(name: string, count: number): Promise<readonly string[]> {
  one.egress.answer = () => Promise.resolve(answered(500));
  await one.save(yaml(name));
  const ids: string[] = [];
  for (let nth = 0; nth < count; nth++) ids.push(await one.begin(name));
  for (const id of ids) await one.untilStatus(id, 'failed');
  one.egress.answer = () => Promise.resolve(answered(200));
  return ids;
}

describe('many runs that are retried', () => {
  it('are counted first, and retried when the count is confirmed', async () => {
    const ids = await failed('calls', 3);
    const [other] = await failed('other', 1);
    const filter = { workflow: 'calls', errorCode: 'call.failed' };
    expect(await request({ filter })).toEqual({ count: 3, started: false });
    await expect(request({ filter, confirm: 2 })).rejects.toMatchObject({ code: 'run.other_count' });
    const { id, started } = await request({ filter, confirm: 3, rate: 1000 });
    expect(started).toBe(true);
    expect(await untilEnded(id!)).toMatchObject({ status: 'completed', count: 3, retried: 3, refused: 0 });
    for (const run of ids) await one.untilStatus(run, 'completed');
    expect(await one.view(other!)).toMatchObject({ status: 'failed' });
    expect((await one.bulk.list(one.caller)).data).toMatchObject([{ id, filter }]);
    expect(await one.dataSource.query(`select * from views.work where queue = 'workflows.retry'`)).toEqual([]);
  });

  it('are retried once each, also where they fail again and the request is repeated', async () => {
    const [run] = await failed('calls', 1);
    one.egress.answer = () => Promise.resolve(answered(500));
    const first = await request({ confirm: 1 }, 'key-1');
    await untilEnded(first.id!);
    await waitFor('the second failure', async () => (await one.logged('workflow.failed')).length === 2);
    expect(await request({ confirm: 1 }, 'key-1')).toEqual(first);
    expect(await one.logged('run.retried')).toHaveLength(1);
    expect(await one.view(run!)).toMatchObject({ retries: [{ by: 'token/tok_1' }] });
  });

  it('are left alone once it is cancelled', async () => {
    const ids = await failed('calls', 3);
    const { id } = await request({ confirm: 3, rate: 1 });
    await waitFor('the first retry', async () => (await one.logged('run.retried')).length > 0);
    expect(await one.bulk.cancel(one.caller, id!)).toMatchObject({ status: 'cancelled' });
    expect(await one.bulk.cancel(one.caller, id!)).toMatchObject({ status: 'cancelled' });
    const retried = (await one.logged('run.retried')).length;
    expect(retried).toBeLessThan(ids.length);
    await expect(one.bulk.view({ ...one.caller, orgId: 'org_other' }, id!)).rejects.toMatchObject({
      code: 'run_retry.not_found',
    });
  });

  it('are retried once each where the process stops on the way', async () => {
    const ids = await failed('calls', 3);
    const { id } = await request({ confirm: 3, rate: 1 });
    await waitFor('the first retry', async () => (await one.logged('run.retried')).length > 0);
    await one.stop();
    one = await Running.start({ databaseUrl: database.url, store });
    expect(await untilEnded(id!)).toMatchObject({ status: 'completed', retried: 3 });
    for (const run of ids) await one.untilStatus(run, 'completed');
    expect(await one.logged('run.retried')).toHaveLength(3);
  });
});

describe('the list of runs', () => {
  it('is filtered by inputs, labels and the story that runs belong to', async () => {
    await one.save(yaml('calls', 'labels: { team: payments }'));
    await one.save(yaml('other', 'labels: { team: search }'));
    const begun = [
      await one.begin('calls', { to: 'x', count: 5 }),
      await one.begin('calls', { to: '5' }),
      await one.begin('other', { to: 'x' }),
    ];
    for (const id of begun) await one.untilStatus(id, 'completed');
    const [first, second, third] = begun;
    const listed = async (filter: Record<string, string>) =>
      (await one.runs.list(one.caller, filter)).data.map(({ id }) => id);
    expect(await listed({ 'input.to': 'x' })).toEqual([third, first]);
    expect(await listed({ 'input.to': 'x', 'input.count': '5' })).toEqual([first]);
    expect(await listed({ 'input.to': '5' })).toEqual([second]);
    expect(await listed({ 'label.team': 'payments' })).toEqual([second, first]);
    expect(await listed({ 'label.team': 'payments', 'input.to': 'x' })).toEqual([first]);
    expect(await listed({ 'label.team': 'none' })).toEqual([]);
    await one.workflows.archive(one.caller, 'calls');
    expect(await listed({ 'label.team': 'payments' })).toEqual([second, first]);
    expect(await listed({ 'input.to': '\u0000' })).toEqual([]);
    const { correlationId } = (await one.view(first!)) as unknown as { correlationId: string };
    expect(await listed({ correlation: correlationId })).toEqual([first]);
    await expect(listed({ correlation: 'x' })).rejects.toMatchObject({ code: 'list.bad_filter' });
  });

  it('reads an index for each filter', async () => {
    await one.dataSource.query(
      `insert into views.runs (id, org_id, workflow_id, workflow, version, status, trigger, event_id, error, started_at, correlation_id, inputs)
       select 'run_' || n, 'org', 'wf', 'w' || n % 50, 'v' || n % 200, case when n % 500 = 0 then 'failed' else 'completed' end,
              case when n % 400 = 0 then 'manual' else 'event' end, 'evt_' || n,
              case when n % 500 = 0 then json_build_object('code', 'c' || n % 1000) end,
              now() - n * interval '1 second', gen_random_uuid(), jsonb_build_object('to', 'x' || n)
         from generate_series(1, 20000) n`,
    );
    await one.dataSource.query('analyze views.runs');
    const plan = async (condition: string): Promise<string> => {
      const rows = await one.dataSource.query<{ 'QUERY PLAN': string }[]>(
        `explain select * from views.runs r where org_id = 'org' and ${condition} order by started_at desc, id desc limit 51`,
      );
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    };
    const expected = {
      runs_by_workflow: `workflow = 'w7'`,
      runs_by_version: `version = 'v7'`,
      runs_by_status: `status = 'failed'`,
      runs_by_trigger: `trigger = 'manual'`,
      runs_by_event: `event_id = 'evt_7'`,
      runs_by_error: `error is not null and error->>'code' = 'c500'`,
      runs_by_correlation: `correlation_id = '00000000-0000-4000-8000-000000000000'`,
      runs_by_input: `inputs is not null and (inputs @> '{"to":"x7"}'::jsonb or inputs @> '{"to":7}'::jsonb)`,
      runs_by_start: `started_at >= now()`,
    };
    const plans = await Promise.all(
      Object.entries(expected).map(async ([index, condition]) => [index, await plan(condition)] as const),
    );
    expect(plans.filter(([index, text]) => !text.includes(index))).toEqual([]);
  });
});
