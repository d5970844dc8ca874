import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { Receiver } from '../../support/receiver.js';
import { TestServer } from '../../support/server.js';

let server: TestServer;
let receiver: Receiver;
beforeAll(async () => {
  receiver = await Receiver.start();
  server = await TestServer.start({ env: { MILLRACE_PUBLIC_URL: 'https://millrace.example.com' } });
});
afterAll(async () => {
  await server.stop();
  await receiver.stop();
});

/** The link reaches people through a message that another branch of the run sends while the approval waits. */
const workflow = (name: string, approvers: string) => `
name: ${name}
triggers: [{ type: manual }]
steps:
  - parallel:
      - steps:
          - { id: ok, approval: { title: Deploy?, approvers: [${approvers}], links: true } }
      - steps:
          - { id: asked, waitForEvent: { event: approval.requested, when: data.runId == run.id } }
          - id: send
            uses: http
            with:
              method: POST
              url: RECEIVER/${name}
              body: { link: "\${{ steps.asked.output.data.links[0].approve }}" }
outputs: { by: "\${{ steps.ok.output.by }}" }
`;

interface Token {
  readonly id: string;
  readonly token: string;
}
const created = new Map<string, Token>();
async function tokenOf(name: string): Promise<Token> {
  const token = await server.post<Token>('/api/v1/tokens', { name, roles: ['designer'] });
  created.set(name, token);
  return token;
}

/** Starts a run and gives the link that is sent, with the address of the test server in it. */
async function sent(name: string, approvers: string, token?: string) {
  await server.call('PUT', `/api/v1/workflows/${name}`, {
    source: workflow(name, approvers).replace('RECEIVER', receiver.url),
  });
  const begun = await fetch(`${server.url}/api/v1/workflows/${name}/runs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token ?? created.get('starter')!.token}`, 'content-type': 'application/json' },
    body: '{}',
  });
  expect(begun.status).toBe(201);
  const { id } = (await begun.json()) as { id: string };
  const call = await waitFor(
    'the link',
    () => Promise.resolve(receiver.calls.find(({ path }) => path === `/${name}`)),
    () => server.output,
  );
  const { link } = JSON.parse(call.body.toString()) as { link: string };
  expect(link).toMatch(/^https:\/\/millrace\.example\.com\/links\/[\w-]+\.[\w-]+$/);
  return { id, link: link.replace('https://millrace.example.com', server.url) };
}
const press = (link: string, fields: Record<string, string> = {}) =>
  fetch(link, { method: 'POST', body: new URLSearchParams(fields) });

describe('a link to an approval', () => {
  it('opens a page without script; the button on it decides, once', async () => {
    await tokenOf('starter');
    const ann = await tokenOf('ann');
    const { id, link } = await sent('deploy', 'ann');

    for (const method of ['GET', 'HEAD', 'GET']) {
      const opened = await fetch(link, { method });
      expect(opened.status).toBe(200);
      expect(opened.headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(opened.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/);
      expect(opened.headers.get('referrer-policy')).toBe('no-referrer');
      expect(opened.headers.get('cache-control')).toBe('no-store');
    }
    expect(await server.get(`/api/v1/runs/${id}`)).toMatchObject({ status: 'waiting' });

    expect((await press(link, { comment: 'Go.' })).status).toBe(200);
    await waitFor('the run to go on', async () => {
      const run = await server.get<{ status: string }>(`/api/v1/runs/${id}`);
      return run.status === 'completed';
    });
    expect(await server.get(`/api/v1/runs/${id}`)).toMatchObject({ outputs: { by: `token/${ann.id}` } });
    const again = await press(link);
    expect(again.status).toBe(410);
    expect(await again.text()).toContain('This link was used');
    expect(server.output).not.toContain(link.slice(-20));
  });

  it('is not for the person who started the run', async () => {
    const { link } = await sent('own', 'ann', created.get('ann')!.token);
    const answer = await press(link);
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain('Another person must decide');
  });

  it('that is cut off or unknown says what to do, and other bodies are refused', async () => {
    const { link } = await sent('cut', 'ann');
    for (const bad of [link.slice(0, -1), `${server.url}/links/x`, `${server.url}/links/`, `${link}/more`]) {
      const answer = await fetch(bad);
      expect(answer.status).toBe(404);
      expect(await answer.text()).toContain('Copy the whole link');
    }
    const json = await fetch(link, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
    expect(json.status).toBe(415);
    const large = await press(link, { comment: 'x'.repeat(100_000) });
    expect(large.status).toBe(413);
    expect((await fetch(link)).status).toBe(200);
  });
});
