import { readdir } from 'node:fs/promises';

import { describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase } from '../support/database.js';
import { Receiver } from '../support/receiver.js';
import { everythingStored } from '../support/secret-traces.js';
import { freePort, TestServer } from '../support/server.js';

const JANE = { email: 'jane.doe@acme.example', name: 'Jane Quistgaard', text: 'my number is 555-0142' };
const JOHN = { email: 'john.roe@acme.example', name: 'John Featherstone', text: 'call me at the 555-0177' };
const of = (text: string, { email, name, text: said }: typeof JANE) =>
  [email, name, said].filter((part) => text.includes(part));

const WORKFLOW = `name: greet
triggers: [{ type: event, event: webhook.received, when: "contains(data.payload.user.email, '@acme')" }]
steps:
  - { id: who, uses: set, with: { name: '\${{ event.data.payload.user.name }}', mail: '\${{ event.data.payload.user.email }}' } }
  - { id: send, uses: send_webhook, with: { url: 'RECEIVER/step', payload: { said: '\${{ event.data.payload.text }}' } } }
  - { id: ask, approval: { title: 'Answer \${{ event.data.payload.user.name }}?', timeout: 9d } }
  - { id: after, uses: send_webhook, with: { url: 'RECEIVER/after', payload: '\${{ event.data.payload.text }}' } }
`;
const conditions = { field: 'data.payload.user.email', operator: 'contains', value: '@acme' };
const env = { MILLRACE_SECRET_KEY: Buffer.alloc(32, 5).toString('base64') };

/** What the receiver was sent besides the test of the webhook. */
const about = ({ calls }: Receiver): readonly string[] =>
  calls.map(({ body }) => body.toString()).filter((body) => !body.includes('webhook.test'));

/** All that the API shows. */
async function answers(server: TestServer): Promise<string> {
  const texts = await Promise.all(
    ['events', 'issues', 'runs', 'approvals', 'deliveries', 'subjects', 'actions', 'rules'].map((list) =>
      server.text(`/api/v1/${list}?limit=200`),
    ),
  );
  const { data: runs } = JSON.parse(texts[2]!) as { data: { id: string }[] };
  const { data: events } = JSON.parse(texts[0]!) as { data: { id: string }[] };
  for (const { id } of runs) texts.push(await server.text(`/api/v1/runs/${id}`));
  for (const { id } of events) texts.push(await server.text(`/api/v1/events/${id}/decisions`));
  return texts.join('\n');
}

describe('a process that dies while it erases a person', () => {
  it.concurrent.each(['privacy.after-erased', 'privacy.before-erase'])(
    'has erased her everywhere after dying at %s, and nobody else',
    async (point) => {
      const [database, receiver] = await Promise.all([createTestDatabase(), Receiver.start()]);
      const settings = { databaseUrl: database.url, port: await freePort() };
      let server = await TestServer.start({ ...settings, env: { ...env, MILLRACE_CRASH_AT: point } });
      const until = (what: string, done: () => Promise<boolean> | boolean) => waitFor(what, done, () => server.output);
      try {
        const { slug } = await server.post<{ slug: string }>('/api/v1/integrations', {
          name: 'crm',
          provider: 'generic_webhook',
          personal: [{ subject: 'data.payload.user.email', fields: ['data.payload.user', 'data.payload.text'] }],
        });
        const title = '${{ data.payload.user.name }}: ${{ data.payload.text }}';
        const labels = ['${{ data.payload.user.email }}', 'crm'];
        await server.post('/api/v1/rules', {
          name: 'open',
          eventType: 'webhook.received',
          conditions,
          actions: [{ type: 'create_issue', with: { title, labels } }],
        });
        await server.post('/api/v1/rules', {
          name: 'never',
          eventType: 'webhook.received',
          conditions: { field: 'data.payload.text', operator: 'equals', value: 'nothing' },
          actions: [{ type: 'create_issue', with: { title } }],
        });
        await server.post('/api/v1/outbound-webhooks', { url: `${receiver.url}/all`, events: ['webhook.received'] });
        await server.call('PUT', '/api/v1/workflows/greet', { source: WORKFLOW.replaceAll('RECEIVER', receiver.url) });
        for (const { email, name, text } of [JANE, JOHN])
          await fetch(`${server.url}/api/v1/webhooks/inbound/${slug}`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ user: { email, name }, text }),
          });
        await until('both to be worked on', async () => {
          const { data } = await server.get<{ data: unknown[] }>('/api/v1/approvals');
          const issues = await server.list('/api/v1/issues');
          return data.length === 2 && issues.length === 2 && about(receiver).length === 4;
        });
        const sent = about(receiver).join('\n');
        expect(of(sent, JANE)).toHaveLength(3);

        // Who may read sees all of it; what is stored has nothing in clear.
        const before = await answers(server);
        expect([of(before, JANE), of(before, JOHN)].map((found) => found.length)).toEqual([3, 3]);
        expect(before).not.toContain('$sealed:');
        expect(await server.list(`/api/v1/events?text=555-0142&type=webhook.received`)).toHaveLength(1);
        const stored = await everythingStored(database);
        expect([...of(stored, JANE), ...of(stored, JOHN)]).toEqual([]);

        const { id } = await server.post<{ id: string }>('/api/v1/subjects/lookup', { id: JANE.email });
        await server.call('DELETE', `/api/v1/subjects/${encodeURIComponent(JANE.email)}`).catch(() => undefined);
        await until('the server to die', () => server.exited);
        expect(server.child.signalCode).toBe('SIGKILL');

        server = await TestServer.start({ ...settings, env });
        const erased = await waitFor(
          'the erasure to go on',
          async () => {
            const subject = await server.get<{ state: string; notReached: { sentTotal: number } }>(
              `/api/v1/subjects/${id}`,
            );
            return subject.state === 'erased' && subject;
          },
          () => server.output,
        );
        expect(erased.notReached.sentTotal).toBe(2);
        const after = await answers(server);
        expect([of(after, JANE), of(after, JOHN).length]).toEqual([[], 3]);
        expect(after).toContain('{"$erased":true}');
        expect(after).not.toContain('$sealed:');

        // What needs her is cancelled; all else goes on.
        const approvals = await server.list<{ runId: string; path: string }>('/api/v1/approvals');
        for (const { runId, path } of approvals)
          await server.post(`/api/v1/runs/${runId}/approvals/${path}`, { decision: 'approve' });
        await until('both runs to end', async () => {
          const runs = await server.list<{ status: string }>('/api/v1/runs');
          return (
            runs
              .map(({ status }) => status)
              .sort()
              .join() === 'cancelled,completed'
          );
        });
        const cancelled = await server.list<{ data: object }>('/api/v1/events?type=run.cancelled');
        expect(cancelled.map(({ data }) => data)).toMatchObject([{ reason: 'subject.erased' }]);
        const late = receiver.calls.filter(({ path }) => path === '/after').map(({ body }) => body.toString());
        expect(late.map((body) => of(body, JOHN))).toEqual([[JOHN.text]]);

        expect(of(await everythingStored(database), JANE)).toEqual([]);
        const [told] = await server.list<object>('/api/v1/events?type=subject.erased');
        expect(told).toMatchObject({
          metadata: { actor: expect.stringContaining('token/tok_') },
          data: { subjectId: id },
        });
        expect(await server.get('/api/v1/audit/verify')).toMatchObject({ ok: true });
        expect(server.output).not.toContain(JANE.email);
        // With a database and a key of its own the server writes no files.
        await expect(readdir(server.dataDir)).rejects.toThrow('ENOENT');

        // She is forgotten, not banned: what she sends next is under another key.
        await fetch(`${server.url}/api/v1/webhooks/inbound/${slug}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ user: { email: JANE.email }, text: 'again' }),
        });
        expect(await server.get(`/api/v1/subjects/${id}`)).toMatchObject({ state: 'active' });
      } finally {
        await server.stop();
        await receiver.stop();
        await database.drop();
      }
    },
  );
});
