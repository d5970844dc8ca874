import { describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import type { Given } from '../nouns/verb-table.js';
import { agentVerbs } from './agent-verbs.js';
import { executionVerbs } from './execution-verbs.js';

const verb = (name: string, shell: FakeShell, args: readonly string[], options: Given = {}) =>
  [...agentVerbs, ...executionVerbs].find(({ usage }) => usage.split(' ')[0] === name)!.run(shell, args, options);

const AGENT = {
  id: 'agt_1',
  name: 'triage',
  runtime: 'http',
  config: { url: 'https://a.example' },
  webhookUrl: null,
  auth: 'none',
  rateLimit: 100,
  maxConcurrent: 10,
};
const DONE = {
  id: 'exec_1',
  trigger: 'manual',
  status: 'completed',
  output: { priority: 'high' },
  error: null,
  usage: { inputTokens: 3, outputTokens: 4, costCents: 0.5 },
  createdAt: 't1',
  durationMs: 12,
  approvals: [],
  steps: [{ number: 1, kind: 'model', name: 'small-1', status: 'completed', durationMs: 11 }],
};
const LIST = { 'GET /api/v1/agents?limit=200': { data: [AGENT], nextCursor: null } };
const PATH = '/api/v1/agents/agt_1/executions';

describe('agent', () => {
  it('lists agents, and shows one by its name', async () => {
    const shell = new FakeShell({ ...LIST, 'GET /api/v1/agents/agt_1': AGENT });
    await verb('ls', shell, []);
    await verb('view', shell, ['triage']);
    expect(shell.out.slice(0, 3)).toEqual([
      'ID | NAME | RUNTIME | WEBHOOK',
      'agt_1 | triage | http | –',
      'agt_1 "triage" runs as http: {"url":"https://a.example"}',
    ]);
  });

  it('removes an agent', async () => {
    const shell = new FakeShell({ 'DELETE /api/v1/agents/agt_1': {} });
    await verb('rm', shell, ['agt_1']);
    expect(shell.out).toEqual(['agt_1 is removed. Its executions stay.']);
  });
});

describe('executions', () => {
  it('are started with JSON or text, and shown when they end', async () => {
    const shell = new FakeShell({ [`POST ${PATH}`]: DONE });
    expect(await verb('run', shell, ['agt_1'], { input: '{"n":1}' })).toBe(0);
    expect(shell.asked[0]!.body).toEqual({ input: { n: 1 } });
    expect(shell.out).toEqual([
      'exec_1 is completed.',
      'Output: {"priority":"high"}',
      'Tokens: 3 in, 4 out, 0.5 cents',
      'STEP | KIND | NAME | STATUS | MS | ERROR',
      '1 | model | small-1 | completed | 11 | –',
    ]);
    const failing = new FakeShell({
      [`POST ${PATH}`]: { ...DONE, status: 'failed', error: { code: 'agent.status', message: 'It answered 400.' } },
    });
    expect(await verb('run', failing, ['agt_1'], { input: 'hello' })).toBe(1);
    expect(failing.asked[0]!.body).toEqual({ input: 'hello' });
  });

  it('are listed by trigger and status', async () => {
    const shell = new FakeShell({
      [`GET ${PATH}?trigger=webhook&status=failed&limit=200`]: { data: [DONE], nextCursor: null },
    });
    await verb('executions', shell, ['agt_1'], { trigger: 'webhook', status: 'failed' });
    expect(shell.out[1]).toBe('exec_1 | manual | completed | t1 | 12 | 7');
  });

  it('that wait are approved or rejected, the one that waits if none is named', async () => {
    const waiting = {
      ...DONE,
      status: 'waiting_approval',
      approvals: [{ id: 'a1', reason: 'policy', tool: 't', arguments: {} }],
    };
    const answers = { [`GET ${PATH}/exec_1`]: waiting, [`POST ${PATH}/exec_1/approvals/a1`]: DONE };
    const shell = new FakeShell(answers);
    await verb('approve', shell, ['agt_1', 'exec_1'], { comment: 'fine' });
    expect(shell.asked[1]!.body).toEqual({ decision: 'approve', comment: 'fine' });
    const rejecting = new FakeShell(answers);
    await verb('approve', rejecting, ['agt_1', 'exec_1'], { reject: true });
    expect(rejecting.asked[1]!.body).toEqual({ decision: 'reject' });
    await expect(verb('approve', new FakeShell({ [`GET ${PATH}/exec_1`]: DONE }), ['agt_1', 'exec_1'])).rejects.toThrow(
      /waits for no approval/,
    );
  });
});
