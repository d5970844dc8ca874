import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { githubPush, githubRequest, send } from '../support/github.js';
import { Receiver } from '../support/receiver.js';
import { freePort, TestServer } from '../support/server.js';

/** Every named place between an append, an effect and its outcome; a new effect adds its own here. */
const CRASH_POINTS = [
  'intake.before-append',
  'intake.after-append',
  'intake.before-alarm',
  'intake.after-alarm',
  'rules.before-append',
  'rules.after-append',
  'rules.before-burst-end',
  'rules.after-burst-end',
  'issues.before-append',
  'audit.before-seal',
  'audit.after-seal',
  'audit.before-witness',
  'audit.after-witness',
  'actions.before-effect',
  'actions.after-effect',
  'actions.after-outcome',
  'deliveries.before-schedule',
  'deliveries.before-release',
  'deliveries.after-release',
  'deliveries.before-effect',
  'deliveries.after-effect',
  'deliveries.after-outcome',
  'schedules.before-tick',
  'schedules.after-tick',
  'turns.before-end',
  'turns.after-end',
  'turns.before-wake',
  'turns.after-wake',
  'triggers.before-group-end',
  'triggers.after-group-end',
  'workflows.before-decisions',
  'workflows.after-decisions',
  'workflows.before-start',
  'workflows.after-start',
  'workflows.before-step',
  'workflows.after-step',
  'workflows.after-outcome',
  'workflows.before-answer',
  'workflows.after-answer',
  'runner.before-commit',
  'runner.after-commit',
  'work.handed-over',
] as const;

const SECRET = 'crash-secret-0123456789';
const WORKFLOW = `
name: on-push
triggers:
  - type: event
    event: git.push
steps:
  - id: first
    uses: http
    with: { method: POST, url: "RECEIVER/step-one?branch=\${{ event.data.branch }}" }
  - id: second
    uses: http
    with: { method: POST, url: "RECEIVER/step-two?branch=\${{ event.data.branch }}" }
  - id: third
    waitForEvent: { event: webhook.delivered, when: data.eventId == event.id, timeout: 1h }
outputs:
  status: "\${{ steps.second.output.status }}"
`;

/** Starts once for the pushes of a second. */
const TOGETHER = `
name: together
triggers: [{ type: event, event: git.push, batch: { size: 100, timeout: 1s } }]
steps: [{ id: one, uses: log, with: { message: "\${{ length(events) }}" } }]
`;

/** Never starts, and says so. */
const ELSEWHERE = `
name: elsewhere
triggers: [{ type: event, event: git.push, branches: [no-such-branch] }]
steps: [{ uses: log, with: { message: no } }]
`;

const EVERY_SECOND = `
name: every-second
triggers: [{ type: schedule, every: 1s, catchup: all }]
steps: [{ uses: log, with: { message: "\${{ event.data.at }}" } }]
`;

/** Most of its runs are skipped. */
const ONE_AT_A_TIME = EVERY_SECOND.replace(
  'steps: [',
  'concurrency: { onConflict: skip }\nsteps: [{ wait: { for: 3s } }, ',
);

/** Gives its place away while it waits, and asks for one again. */
const TAKING_TURNS = `
name: taking-turns
triggers: [{ type: event, event: git.push }]
concurrency: { whileWaiting: release }
steps: [{ wait: { for: 100ms } }, { uses: log, with: { message: on } }]
`;

/** What somebody outside would write: it honours the key, so that a page that was asked for twice is one. */
const PAGER = `
export default {
  name: 'pager',
  sdk: 1,
  actions: [{
    name: 'page-on-call',
    description: 'Pages the person on call.',
    inputSchema: { type: 'object', required: ['text'], properties: { text: { type: 'string' } } },
    async run({ text }, { http, idempotencyKey, timeoutMs, signal }) {
      const headers = { 'idempotency-key': idempotencyKey };
      const answer = await http.request({ method: 'POST', url: 'RECEIVER/page', headers, body: text, timeoutMs, signal });
      return { status: answer.status };
    },
  }],
};
`;

interface Listed {
  readonly id: string;
}

/** Shared by all scenarios, which tell their calls apart by the branch that they push to. */
let receiver: Receiver;
let folder: string;
let env: Readonly<Record<string, string>>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-crash-'));
  receiver = await Receiver.start(
    (nth, { path }) => (path === '/hook' && nth === 1 ? 500 : 200),
    ({ path }) => (path.startsWith('/witness') ? '— witness.example.com/w1 AAAAAAAA\n' : 'ok'),
  );
  env = {
    MILLRACE_RETRY_SCHEDULE: '100ms,200ms,400ms',
    MILLRACE_PLUGINS: join(folder, 'pager.mjs'),
    MILLRACE_SECRET_KEY: Buffer.alloc(32, 5).toString('base64'),
  };
  await writeFile(join(folder, 'pager.mjs'), PAGER.replace('RECEIVER', receiver.url));
});
afterAll(async () => {
  for (const one of prepared.values()) await (await one).database.drop();
  await receiver.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Given {
  readonly database: TestDatabase;
  readonly slug: string;
  readonly webhookId: string;
  readonly ruleId: string;
}
const prepared = new Map<string, Promise<Given>>();

/** An integration, a webhook, a rule and a workflow, without a server: each scenario begins with a copy. */
function given(stage: string): Promise<Given> {
  const variants = ['audit', 'intake', 'rules', 'deliveries', 'schedules', 'triggers', 'turns'];
  const variant = variants.includes(stage) ? stage : 'any other';
  const known = prepared.get(variant) ?? prepare(variant);
  prepared.set(variant, known);
  return known;
}
/** Checkpoints are made within the time of a test where they are looked at. */
const envOf = (stage: string) =>
  stage === 'audit' ? { ...env, MILLRACE_SEAL_EVERY: '1s', MILLRACE_WITNESS_URL: `${receiver.url}/witness` } : env;
async function prepare(stage: string): Promise<Given> {
  const database = await createTestDatabase();
  const server = await TestServer.start({ databaseUrl: database.url, env: envOf(stage) });
  const { slug } = await server.post<{ slug: string }>('/api/v1/integrations', {
    name: 'crash',
    provider: 'github',
    secret: SECRET,
    // Reported as silent, and heard of again with the push.
    ...(stage === 'intake' && { expectedEvery: '1s' }),
  });
  const webhook = await server.post<Listed>('/api/v1/outbound-webhooks', {
    url: `${receiver.url}/hook`,
    events: ['git.push'],
    // Its deliveries are released one by one.
    ...(stage === 'deliveries' && { rateLimit: { limit: 1, per: '1s' } }),
  });
  const push = { eventSource: 'github', eventType: 'git.push' };
  const rule = await server.post<Listed>('/api/v1/rules', {
    name: 'every push',
    ...push,
    conditions: { field: 'data.branch', operator: 'exists' },
    actions: [
      { type: 'create_issue', with: { title: 'pushed to ${{ data.branch }}' } },
      { type: 'page-on-call', with: { text: '${{ data.branch }}' } },
    ],
  });
  if (stage === 'rules')
    await server.post('/api/v1/rules', {
      name: 'pushes, once it is quiet',
      ...push,
      actions: [{ type: 'create_issue', with: { title: 'quiet after ${{ data.branch }}' } }],
      debounce: { quiet: '500ms' },
    });
  await server.call('PUT', '/api/v1/workflows/on-push', { source: WORKFLOW.replaceAll('RECEIVER', receiver.url) });
  await server.call('PUT', '/api/v1/workflows/elsewhere', { source: ELSEWHERE });
  if (stage === 'triggers') await server.call('PUT', '/api/v1/workflows/together', { source: TOGETHER });
  if (stage === 'schedules') await server.call('PUT', '/api/v1/workflows/every-second', { source: EVERY_SECOND });
  if (stage === 'turns') {
    await server.call('PUT', '/api/v1/workflows/every-second', { source: ONE_AT_A_TIME });
    await server.call('PUT', '/api/v1/workflows/taking-turns', { source: TAKING_TURNS });
  }
  await server.stop();
  return { database, slug, webhookId: webhook.id, ruleId: rule.id };
}

/** Also the tick at which the process died, and those that came while nothing ran. */
async function eachTickStartsOneRun(server: TestServer): Promise<void> {
  interface Tick {
    readonly id: string;
    readonly data: { readonly at: string };
  }
  const ticks = (await server.list<Tick>('/api/v1/events?type=schedule.fired')).toReversed();
  const times = ticks.map(({ data }) => Date.parse(data.at));
  expect(times).toEqual(times.map((_, index) => times[0]! + index * 1_000));
  await waitFor('a run for each tick', async () => {
    const runs = await server.list<{ eventId: string }>('/api/v1/runs?workflow=every-second');
    const started = runs.map(({ eventId }) => eventId);
    return ticks.every(({ id }) => started.filter((one) => one === id).length === 1);
  });
}

describe('a process that dies at a named crash point', () => {
  // Two at a time (`maxConcurrency`): much of a scenario is waiting.
  it.concurrent.each(CRASH_POINTS)('finishes everything exactly once after dying at %s', async (point) => {
    const branch = point;
    const stage = point.slice(0, point.indexOf('.'));
    const { database: original, slug, webhookId, ruleId } = await given(stage);
    const database = await createTestDatabase({ copyOf: original });
    const settings = { databaseUrl: database.url, port: await freePort() };

    // When the process dies at the point, on one push that the sender repeats until it is acknowledged
    let server = await TestServer.start({
      ...settings,
      env: { ...envOf(stage), MILLRACE_CRASH_AT: point },
      waitUntilReady: false,
    });
    try {
      // Alarms and schedules need no push: they can reach the point before `/readyz` is asked.
      await server.ready().catch((error: unknown) => {
        if (server.child.signalCode !== 'SIGKILL') throw error;
      });
      const request = githubRequest('push', githubPush(branch), SECRET);
      const url = `${server.url}/api/v1/webhooks/inbound/${slug}`;
      await send(url, request).catch(() => undefined);
      await waitFor(
        `the server to die at ${point}`,
        () => server.exited,
        () => server.output,
      );
      expect(server.child.signalCode).toBe('SIGKILL');
      server = await TestServer.start({ ...settings, env: envOf(stage) });
      const answer = await send(url, request);
      expect(answer.status).toBe(202);
      const { eventIds } = (await answer.json()) as { eventIds: string[] };
      const eventId = eventIds[0]!;

      // Then everything happens, once
      interface Delivery {
        readonly eventId: string;
        readonly status: string;
        readonly attempts: number;
      }
      const delivery = await waitFor(
        'the delivery to succeed',
        async () =>
          (await server.list<Delivery>(`/api/v1/outbound-webhooks/${webhookId}/deliveries`)).find(
            (one) => one.eventId === eventId && one.status === 'success',
          ),
        () => server.output,
      );
      expect(delivery.attempts).toBeLessThanOrEqual(3);
      const runs = await waitFor(
        'the run to complete',
        async () => {
          const listed = await server.list<Listed & { workflow: string; status: string }>('/api/v1/runs');
          const all = listed.filter(({ workflow }) => workflow !== 'every-second');
          const ours = all.filter((run) => run.workflow === 'on-push');
          return ours.length > 0 && all.every((run) => run.status === 'completed') && ours;
        },
        () => server.output,
      );
      expect(runs).toHaveLength(1);
      const titles = [`pushed to ${branch}`, ...(stage === 'rules' ? [`quiet after ${branch}`] : [])];
      const issues = await waitFor('the issues', async () => {
        const all = await server.list<{ title: string }>('/api/v1/issues');
        return all.length >= titles.length && all;
      });
      expect(issues.map(({ title }) => title).sort()).toEqual(titles);
      const pushes = await server.list<Listed>('/api/v1/events?type=git.push');
      expect(pushes.map((event) => event.id)).toEqual([eventId]);
      const decisions = await server.list<{ eventId: string }>(`/api/v1/rules/${ruleId}/decisions`);
      expect(decisions).toHaveLength(1);
      const ofTriggers = await waitFor('the decision of a trigger', async () => {
        const all = await server.list<{ outcome: string }>('/api/v1/workflows/elsewhere/decisions');
        return all.length > 0 && all;
      });
      expect(ofTriggers.map(({ outcome }) => outcome)).toEqual(['not_matched']);
      const records = await server.list<{ data: { events: readonly { eventId: string }[] } }>(
        '/api/v1/events?type=trigger.evaluated',
      );
      const recorded = records.flatMap(({ data }) => data.events.map((one) => one.eventId));
      expect(recorded.filter((one) => one === eventId)).toHaveLength(1);

      const pages = await waitFor(
        'the page',
        async () => {
          const all = await server.list<Listed>('/api/v1/events?type=action.completed');
          return all.length > 0 && all;
        },
        () => server.output,
      );
      expect(pages).toHaveLength(1);
      expect(await server.list<Listed>('/api/v1/actions?status=pending')).toEqual([]);

      if (stage === 'triggers') {
        const together = await waitFor('the run of the batch', async () => {
          const all = await server.list<Listed>('/api/v1/runs?workflow=together');
          return all.length > 0 && all;
        });
        expect(together).toHaveLength(1);
      }
      if (stage === 'audit') await eachEventIsSealed(server, eventId);
      if (stage === 'intake') await eachSilenceIsToldOnce(server);
      if (stage === 'schedules' || stage === 'turns') await eachTickStartsOneRun(server);

      // A crash between an effect and its record may repeat that one effect; nothing else is repeated.
      const calls = (path: string) => receiver.calls.filter((call) => call.path === `${path}?branch=${branch}`).length;
      const surplus = calls('/step-one') - 1 + (calls('/step-two') - 1);
      expect(surplus).toBeGreaterThanOrEqual(0);
      expect(surplus).toBeLessThanOrEqual(1);
      const paged = receiver.calls.filter(({ path, body }) => path === '/page' && body.toString() === branch);
      expect(new Set(paged.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
      expect(paged.length).toBeLessThanOrEqual(2);
      if (stage === 'actions') expect(paged).toHaveLength(point === 'actions.after-effect' ? 2 : 1);
      const sent = receiver.calls.filter(
        (call) => call.path === '/hook' && (JSON.parse(call.body.toString()) as Listed).id === eventId,
      );
      expect(sent.length).toBeGreaterThanOrEqual(2);
      expect(sent.length).toBeLessThanOrEqual(3);
    } finally {
      await server.stop();
      await database.drop();
    }
  });
});

/** By one checkpoint after the other, each larger than the one before. */
async function eachEventIsSealed(server: TestServer, eventId: string): Promise<void> {
  interface Recorded {
    readonly data: { readonly tree: string; readonly size: number };
    readonly metadata: { readonly position: string };
  }
  const { metadata } = await server.get<Recorded>(`/api/v1/events/${eventId}`);
  const sealsOf = async (name: string, type = 'log.sealed'): Promise<readonly number[]> => {
    const seals = (await server.list<Recorded>(`/api/v1/events?type=${type}`)).toReversed();
    return seals.flatMap(({ data: { tree, size } }) => (tree === name ? [size] : []));
  };
  // Positions in PostgreSQL have no gaps.
  await waitFor('a checkpoint over the push', async () =>
    (await sealsOf('log')).some((size) => size >= Number(metadata.position)),
  );
  await waitFor('the witness of a checkpoint over the push', async () =>
    (await sealsOf('log', 'log.cosigned')).some((size) => size >= Number(metadata.position)),
  );
  for (const type of ['log.sealed', 'log.cosigned']) {
    const sizes = await sealsOf('log', type);
    expect(sizes).toEqual([...new Set(sizes)].sort((a, b) => a - b));
  }
}

/** And so is its end: they take turns, and the last one is the silence after the push. */
async function eachSilenceIsToldOnce(server: TestServer): Promise<void> {
  const silences = await waitFor('the silence after the push to be told', async () => {
    const told = await Promise.all(
      ['integration.silent', 'integration.heard_again'].map((type) =>
        server.list<{ type: string; metadata: { position: string } }>(`/api/v1/events?type=${type}`),
      ),
    );
    const all = told.flat().sort((a, b) => Number(a.metadata.position) - Number(b.metadata.position));
    return all.at(-1)?.type === 'integration.silent' && all;
  });
  expect(silences.map(({ type }) => type)).toEqual(
    silences.map((_, nth) => (nth % 2 === 0 ? 'integration.silent' : 'integration.heard_again')),
  );
}
