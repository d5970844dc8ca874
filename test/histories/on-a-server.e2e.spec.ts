import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { Receiver } from '../support/receiver.js';
import { freePort, TestServer } from '../support/server.js';

/** Histories that more than one run takes part in, on a server as people run it. */
let server: TestServer;
let receiver: Receiver;
let database: TestDatabase;
let settings: Parameters<typeof TestServer.start>[0];
beforeAll(async () => {
  receiver = await Receiver.start();
  database = await createTestDatabase();
  const env = { MILLRACE_SECRET_KEY: Buffer.alloc(32, 5).toString('base64') };
  settings = { databaseUrl: database.url, port: await freePort(), env };
  server = await TestServer.start(settings);
});
afterAll(async () => {
  await server.stop();
  await receiver.stop();
  await database.drop();
});

interface Run {
  readonly id: string;
  readonly status: string;
  readonly outputs?: unknown;
  readonly children?: readonly { readonly id: string; readonly status?: string }[];
  readonly timeline: readonly { readonly path: string; readonly status: string }[];
}

async function save(yaml: string): Promise<string> {
  const name = /name: (\S+)/.exec(yaml)![1]!;
  await server.call('PUT', `/api/v1/workflows/${name}`, { source: yaml.replaceAll('RECEIVER', receiver.url) });
  return name;
}
const MAILER = `
name: mailer
triggers: [{ type: manual, inputs: { n: { type: number, required: true } } }]
concurrency: { key: mail, limit: 1, onConflict: queue }
steps:
  - { id: send, uses: http, with: { method: POST, url: "RECEIVER/mail/\${{ inputs.n }}" } }
  - { id: pace, wait: { for: 200ms } }
`;
const TICKING = `
name: ticking
triggers: [{ type: schedule, every: 1s, catchup: all }]
steps: [{ uses: http, with: { method: POST, url: "RECEIVER/tick/\${{ event.data.at }}" } }]
`;
const begin = async (name: string, inputs: object = {}) =>
  (await server.post<Run>(`/api/v1/workflows/${name}/runs`, { inputs })).id;
const until = (id: string, ...statuses: string[]) =>
  waitFor(
    `${id} to be ${statuses.join(' or ')}`,
    async () => {
      const run = await server.get<Run>(`/api/v1/runs/${id}`);
      return statuses.includes(run.status) && run;
    },
    () => server.output,
  );
const called = (path: string) => receiver.calls.filter((call) => call.path.startsWith(path));

describe('a child workflow', () => {
  const child = `
name: child
triggers: [{ type: manual, inputs: { n: { type: number, required: true } } }]
steps:
  - { id: call, uses: http, with: { method: POST, url: "RECEIVER/child/\${{ inputs.n }}" } }
  - { id: nap, if: 'inputs.n > \`9\`', wait: { for: 1d } }
outputs: { n: "\${{ inputs.n }}" }
`;
  const parent = `
name: parent
triggers: [{ type: manual, inputs: { first: { type: number, required: true } } }]
steps:
  - id: each
    forEach: "\${{ [inputs.first, sum([inputs.first, \`1\`])] }}"
    concurrency: 3
    steps:
      - { id: sub, uses: workflow, with: { workflow: child, inputs: { n: "\${{ item }}" } } }
outputs: { list: "\${{ steps.each.output.results[].outputs.n }}" }
`;

  it('runs once for each item, and the parent has its outputs', async () => {
    await save(child);
    await save(parent);
    const run = await until(await begin('parent', { first: 1 }), 'completed', 'failed');
    expect(run).toMatchObject({ status: 'completed', outputs: { list: [1, 2] } });
    expect(
      called('/child/')
        .map(({ path }) => path)
        .sort(),
    ).toEqual(['/child/1', '/child/2']);
  });

  it('is cancelled with its parent', async () => {
    const id = await begin('parent', { first: 9 });
    const { children } = await waitFor('the child to sleep', async () => {
      const run = await server.get<Run>(`/api/v1/runs/${id}`);
      return run.children?.some(({ status }) => status === 'waiting') && run;
    });
    await server.post(`/api/v1/runs/${id}/cancel`, {});
    const sleeping = children!.find(({ status }) => status === 'waiting')!;
    const run = await until(sleeping.id, 'cancelled');
    expect(run.timeline.at(-1)).toMatchObject({ path: 'nap', status: 'cancelled' });
  });
});

describe('a queue with a rate', () => {
  it('takes one after the other, in the order in which they came, and keeps its distance', async () => {
    const name = await save(MAILER);
    const ids: string[] = [];
    for (const n of [1, 2, 3, 4, 5]) ids.push(await begin(name, { n }));
    for (const id of ids) await until(id, 'completed');
    const mails = called('/mail/');
    expect(mails.map(({ path }) => path)).toEqual([1, 2, 3, 4, 5].map((n) => `/mail/${n}`));
    const distances = mails.slice(1).map(({ at }, index) => at - mails[index]!.at);
    // Both clocks count in milliseconds.
    expect(distances.filter((distance) => distance < 199)).toEqual([]);
  });
});

describe('cron', () => {
  it('starts one run for each tick', async () => {
    const name = await save(TICKING);
    await waitFor('three ticks', () => Promise.resolve(called('/tick/').length >= 3));
    await server.post(`/api/v1/workflows/${name}/pause`, {});
    const times = called('/tick/').map(({ path }) => Date.parse(path.slice('/tick/'.length)));
    const sorted = times.toSorted((a, b) => a - b);
    expect(sorted).toEqual(sorted.map((_, index) => sorted[0]! + index * 1_000));
  });
});

describe('a server that is killed', () => {
  /** A call that was under way may be made again: then its path comes twice. */
  const paths = (prefix: string): readonly string[] => [...new Set(called(prefix).map(({ path }) => path))];

  it('goes on with children, with the queue in its order, and with every tick', async () => {
    receiver.calls.length = 0;
    await server.post('/api/v1/workflows/ticking/resume', {});
    const parent = await begin('parent', { first: 3 });
    const mails: string[] = [];
    for (const n of [1, 2, 3, 4, 5]) mails.push(await begin('mailer', { n }));
    await waitFor('each of them to be under way', () =>
      ['/child/', '/mail/', '/tick/'].every((prefix) => called(prefix).length > 0),
    );
    await server.kill();
    const ticks = paths('/tick/').length;
    server = await TestServer.start(settings);
    const run = await until(parent, 'completed', 'failed');
    expect(run).toMatchObject({ status: 'completed', outputs: { list: [3, 4] } });
    expect(run.children).toHaveLength(2);
    expect(paths('/child/').toSorted()).toEqual(['/child/3', '/child/4']);
    for (const id of mails) await until(id, 'completed');
    expect(paths('/mail/')).toEqual([1, 2, 3, 4, 5].map((n) => `/mail/${n}`));
    await waitFor('ticks after the kill', () => paths('/tick/').length >= ticks + 2);
    await server.post('/api/v1/workflows/ticking/pause', {});
    const runs = await server.list<{ eventId: string }>('/api/v1/runs?workflow=ticking');
    expect(new Set(runs.map(({ eventId }) => eventId)).size).toBe(runs.length);
    const times = paths('/tick/').map((path) => Date.parse(path.slice('/tick/'.length)));
    const sorted = times.toSorted((a, b) => a - b);
    expect(sorted).toEqual(sorted.map((_, index) => sorted[0]! + index * 1_000));
  });
});
