import { describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import { EXIT } from '../failures.js';
import { deliveryVerbs, webhookVerbs } from './delivery-verbs.js';

const delivery = (id: string, status: string, attempts: number, more: object = {}) => ({
  id,
  eventType: 'git.push',
  status,
  attempts,
  attemptCount: attempts,
  responseCode: null,
  failureClass: null,
  nextAttemptAt: null,
  waitsFor: null,
  ...more,
});

describe('watching a delivery', () => {
  const watch = (shell: FakeShell) => deliveryVerbs[0]!.run(shell, ['del_1'], {});

  it.each([
    ['success', 0, { responseCode: 200 }, 'del_1  git.push  success  2 attempts  200'],
    ['failed', 1, { failureClass: 'timeout' }, 'del_1  git.push  failed  2 attempts  timeout'],
  ])('to the end %s exits with %i', async (status, code, more, line) => {
    const answers = [
      delivery('del_1', 'pending', 1, { nextAttemptAt: 'soon', waitsFor: 'rate_limit' }),
      delivery('del_1', status, 2, more),
    ];
    const shell = new FakeShell({ 'GET /api/v1/deliveries/del_1': () => answers.shift() });
    expect(await watch(shell)).toBe(code);
    expect(shell.bars[0]).toBe('del_1  git.push  pending  1 attempt  next at soon  waits for the rate limit');
    expect(shell.out).toEqual([line]);
  });

  it('ends when it is interrupted', async () => {
    const shell = new FakeShell({ 'GET /api/v1/deliveries/del_1': delivery('del_1', 'pending', 0) });
    shell.interrupt.abort();
    expect(await watch(shell)).toBe(EXIT.interrupted);
  });
});

describe('watching a webhook', () => {
  it('shows each change of a delivery once, the oldest first', async () => {
    const looks = [
      [delivery('del_2', 'pending', 0), delivery('del_1', 'pending', 1)],
      [delivery('del_2', 'success', 1, { responseCode: 204 }), delivery('del_1', 'pending', 1)],
    ];
    const shell = new FakeShell({
      'GET /api/v1/outbound-webhooks/whk_1/deliveries?limit=50': () => {
        if (looks.length === 1) shell.interrupt.abort();
        return { data: looks.shift() };
      },
    });
    expect(await webhookVerbs[0]!.run(shell, ['whk_1'], {})).toBe(EXIT.interrupted);
    expect(shell.out).toEqual([
      'del_1  git.push  pending  1 attempt',
      'del_2  git.push  pending  0 attempts',
      'del_2  git.push  success  1 attempt  204',
    ]);
  });
});
