import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

import { githubPush, githubRequest, send } from '../support/github.js';
import { Receiver } from '../support/receiver.js';
import { freePort, TestServer, waitFor } from '../support/server.js';

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
  'actions.before-effect',
  'actions.after-effect',
  'actions.after-outcome',
  'deliveries.before-schedule',
  'deliveries.before-effect',
  'deliveries.after-effect',
  'deliveries.after-outcome',
  'workflows.before-start',
  'workflows.after-start',
  'workflows.before-step',
  'workflows.after-step',
  'workflows.after-outcome',
  'runner.before-commit',
  'runner.after-commit',
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
    with: { method: POST, url: "RECEIVER/step-one" }
  - id: second
    uses: http
    with: { method: POST, url: "RECEIVER/step-two" }
outputs:
  status: "\${{ steps.second.output.status }}"
`;

/** What somebody outside would write: it honours the key, so that a page that was asked for twice is one. */
const PAGER = `
export default {
  name: 'pager',
  sdk: 1,
  actions: [{
    name: 'page-on-call',
    description: 'Pages whoever is on call.',
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

describe('a process that dies at a named crash point', () => {
  // Two at a time (`maxConcurrency`): most of a scenario is waiting.
  it.concurrent.each(CRASH_POINTS)('finishes everything exactly once after dying at %s', async (point) => {
    const isWatched = point.startsWith('intake.');
    const hasBursts = point.startsWith('rules.');
    const folder = await mkdtemp(join(tmpdir(), 'millrace-crash-'));
    const dataDir = join(folder, 'data');
    const port = await freePort();
    const env = { MILLRACE_RETRY_SCHEDULE: '100ms,200ms,400ms', MILLRACE_PLUGINS: join(folder, 'pager.mjs') };
    const receiver = await Receiver.start((nth, { path }) => (path === '/hook' && nth === 1 ? 500 : 200));
    await writeFile(env.MILLRACE_PLUGINS, PAGER.replace('RECEIVER', receiver.url));
    let server = await TestServer.start({ dataDir, port, env });
    try {
      // Given an integration, a webhook, a rule and a workflow
      const { slug } = await server.post<{ slug: string }>('/api/v1/integrations', {
        name: 'crash',
        provider: 'github',
        secret: SECRET,
        // Told to be silent, and heard of again with the push.
        ...(isWatched && { expectedEvery: '1s' }),
      });
      const webhook = await server.post<Listed>('/api/v1/outbound-webhooks', {
        url: `${receiver.url}/hook`,
        events: ['git.push'],
      });
      const rule = await server.post<Listed>('/api/v1/rules', {
        name: 'every push',
        enabled: true,
        eventSource: 'github',
        eventType: 'git.push',
        conditions: { field: 'data.branch', operator: 'exists' },
        actions: [
          { type: 'create_issue', with: { title: 'pushed to ${{ data.branch }}' } },
          { type: 'page-on-call', with: { text: '${{ data.branch }}' } },
        ],
      });
      const push = { eventSource: 'github', eventType: 'git.push' };
      if (hasBursts)
        await server.post('/api/v1/rules', {
          name: 'pushes, once it is quiet',
          ...push,
          actions: [{ type: 'create_issue', with: { title: 'quiet after ${{ data.branch }}' } }],
          debounce: { quiet: '500ms' },
        });
      await server.call('PUT', '/api/v1/workflows/on-push', {
        source: WORKFLOW.replaceAll('RECEIVER', receiver.url),
      });
      // The webhook's own test delivery was answered 500: the first call of every message is.
      await server.stop();

      // When the process dies at the point, on one push that the sender repeats until it is acknowledged
      server = await TestServer.start({ dataDir, port, env: { ...env, MILLRACE_CRASH_AT: point } });
      const request = githubRequest('push', githubPush(), SECRET);
      const url = `${server.url}/api/v1/webhooks/inbound/${slug}`;
      await send(url, request).catch(() => undefined);
      await waitFor(
        `the server to die at ${point}`,
        () => server.exited,
        () => server.output,
      );
      expect(server.child.signalCode).toBe('SIGKILL');
      server = await TestServer.start({ dataDir, port, env });
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
          (await server.list<Delivery>(`/api/v1/outbound-webhooks/${webhook.id}/deliveries`)).find(
            (one) => one.eventId === eventId && one.status === 'success',
          ),
        () => server.output,
      );
      expect(delivery.attempts).toBeLessThanOrEqual(3);
      const runs = await waitFor(
        'the run to complete',
        async () => {
          const all = await server.list<Listed & { workflow: string; status: string }>('/api/v1/runs');
          const ours = all.filter((run) => run.workflow === 'on-push');
          return ours.length > 0 && all.every((run) => run.status === 'completed') && ours;
        },
        () => server.output,
      );
      expect(runs).toHaveLength(1);
      const titles = ['pushed to main', ...(hasBursts ? ['quiet after main'] : [])];
      const issues = await waitFor('the issues', async () => {
        const all = await server.list<{ title: string }>('/api/v1/issues');
        return all.length >= titles.length && all;
      });
      expect(issues.map(({ title }) => title).sort()).toEqual(titles);
      const pushes = await server.list<Listed>('/api/v1/events?type=git.push');
      expect(pushes.map((event) => event.id)).toEqual([eventId]);
      const decisions = await server.list<{ eventId: string }>(`/api/v1/rules/${rule.id}/decisions`);
      expect(decisions).toHaveLength(1);

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

      if (isWatched) await eachSilenceIsToldOnce(server);

      // A crash between an effect and its record may repeat that one effect; nothing else is repeated.
      const calls = (path: string) => receiver.calls.filter((call) => call.path === path).length;
      const surplus = calls('/step-one') - 1 + (calls('/step-two') - 1);
      expect(surplus).toBeLessThanOrEqual(1);
      const keys = receiver.calls
        .filter(({ path }) => path === '/page')
        .map(({ headers }) => headers['idempotency-key']);
      expect(new Set(keys).size).toBe(1);
      expect(calls('/page')).toBeLessThanOrEqual(2);
      if (point.startsWith('actions.')) expect(calls('/page')).toBe(point === 'actions.after-effect' ? 2 : 1);
      const sent = receiver.calls.filter(
        (call) => call.path === '/hook' && (JSON.parse(call.body.toString()) as Listed).id === eventId,
      );
      expect(sent.length).toBeGreaterThanOrEqual(2);
      expect(sent.length).toBeLessThanOrEqual(3);
    } finally {
      await server.stop();
      await receiver.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

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
