import { describe, expect, it } from '@jest/globals';
import { Command } from 'commander';

import { FakeShell } from '../../testing/fake-shell.js';
import { resourceCommands } from './resource-commands.js';

/** What `millrace …` asks of the server, and what it prints. */
async function run(shell: FakeShell, ...args: readonly string[]): Promise<FakeShell> {
  const program = new Command('millrace').exitOverride();
  resourceCommands(program, async (work) => void (await work(shell, {} as never)));
  await program.parseAsync(args, { from: 'user' });
  return shell;
}
const answering = (request: string, answer: object = { id: 'whk_1' }) => new FakeShell({ [request]: answer });
const WEBHOOK = '/api/v1/outbound-webhooks/whk_1';

describe('outbound-webhook', () => {
  it('is created with a rate limit, and without a test where it is disabled', async () => {
    const shell = answering('POST /api/v1/outbound-webhooks');
    const limit = '{"limit":10,"per":"1s"}';
    await run(
      shell,
      ...['outbound-webhook', 'create', '--to', 'https://a.example/hook', '--events', 'pr.*', '--events', 'git.push'],
      ...['--rate-limit', limit, '--disabled', '--allow-recursion'],
    );
    expect(shell.asked[0]!.body).toEqual({
      url: 'https://a.example/hook',
      events: ['pr.*', 'git.push'],
      rateLimit: { limit: 10, per: '1s' },
      disabled: true,
      allowRecursion: true,
    });
  });

  it.each<[readonly string[], object]>([
    [['rotate', '--grace-seconds', '60'], { rotateSecret: true, graceSeconds: 60 }],
    [['rotate', '--secret', 'another-secret'], { rotateSecret: true, secret: 'another-secret' }],
    [['enable'], { disabled: false }],
    [['disable'], { disabled: true }],
    [['update', '--rate-limit', 'null'], { rateLimit: null }],
    [['update', '--enabled'], { disabled: false }],
  ])('%j changes it', async ([verb, ...flags], body) => {
    const shell = await run(answering(`PATCH ${WEBHOOK}`), 'outbound-webhook', verb!, 'whk_1', ...flags);
    expect(shell.asked).toEqual([{ method: 'PATCH', path: WEBHOOK, body }]);
  });

  it.each([
    ['test', [], 'test', {}],
    ['recover', ['--since', '2026-11-30T00:00:00Z'], 'recover', { since: '2026-11-30T00:00:00Z' }],
  ])('%s asks for it', async (verb, flags, path, body) => {
    const shell = await run(answering(`POST ${WEBHOOK}/${path}`), 'outbound-webhook', verb, 'whk_1', ...flags);
    expect(shell.asked[0]!.body).toEqual(body);
  });
});

describe('delivery', () => {
  it('is listed by webhook, event, status and time', async () => {
    const query = 'webhookId=whk_1&eventId=evt_1&status=failed&from=2026-11-30T00%3A00%3A00Z&limit=200';
    const shell = answering(`GET /api/v1/deliveries?${query}`, { data: [], nextCursor: null });
    const flags = ['--webhook-id', 'whk_1', '--event-id', 'evt_1', '--status', 'failed'];
    await run(shell, 'delivery', 'ls', ...flags, '--from', '2026-11-30T00:00:00Z');
    expect(shell.asked).toHaveLength(1);
  });

  it.each(['retry', 'redeliver'])('%s sends it again', async (verb) => {
    const shell = answering('POST /api/v1/deliveries/del_1/redeliver', { id: 'del_2' });
    shell.quiet = true;
    await run(shell, 'delivery', verb, 'del_1');
    expect(shell.out).toEqual(['del_2']);
  });
});

describe('issue', () => {
  it('is closed, not deleted', async () => {
    const shell = await run(answering('PATCH /api/v1/issues/iss_1', { id: 'iss_1' }), 'issue', 'rm', 'iss_1');
    expect(shell.asked[0]!.body).toEqual({ status: 'closed' });
    expect(shell.notes).toEqual(['Closed iss_1.']);
  });

  it('shows its comments', async () => {
    const comment = { id: 'c', body: 'Seen.', createdBy: 'token/tok_1', createdAt: 't' };
    const path = 'GET /api/v1/issues/iss_1/comments?limit=200';
    const shell = await run(answering(path, { data: [comment], nextCursor: null }), 'issue', 'comments', 'iss_1');
    expect(shell.out).toEqual(['CREATED | BY | COMMENT', 't | token/tok_1 | Seen.']);
  });
});
