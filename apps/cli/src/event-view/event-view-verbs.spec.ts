import { describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import type { Given } from '../nouns/verb-table.js';
import { eventViewVerbs } from './event-view-verbs.js';

const verb = (name: string, shell: FakeShell, args: readonly string[] = [], options: Given = {}) =>
  eventViewVerbs.find(({ usage }) => usage.split(' ')[0] === name)!.run(shell, args, options);
const failed = {
  name: 'failed',
  filter: { type: 'webhook.failed', actor: 'millrace' },
  createdBy: 'x',
  updatedAt: 't',
};

describe('event-view', () => {
  it('lists saved views and shows one', async () => {
    const shell = new FakeShell({
      'GET /api/v1/event-views?limit=200': { data: [failed], nextCursor: null },
      'GET /api/v1/event-views/failed': failed,
    });
    await verb('ls', shell);
    await verb('view', shell, ['failed']);
    expect(shell.out).toEqual([
      'NAME | FILTER',
      'failed | type=webhook.failed actor=millrace',
      'failed: type=webhook.failed actor=millrace',
    ]);
  });

  it('saves, changes and removes one', async () => {
    const shell = new FakeShell({
      'POST /api/v1/event-views': failed,
      'PUT /api/v1/event-views/failed': failed,
      'DELETE /api/v1/event-views/failed': null,
    });
    await verb('create', shell, ['failed'], { type: 'webhook.failed', actor: 'millrace' });
    await verb('update', shell, ['failed'], { text: 'time out' });
    await verb('rm', shell, ['failed']);
    expect(shell.asked.map(({ body }) => body)).toEqual([
      { name: 'failed', filter: { type: 'webhook.failed', actor: 'millrace' } },
      { filter: { text: 'time out' } },
      undefined,
    ]);
    await expect(verb('create', shell, ['all'])).rejects.toThrow('Say what the view shows');
  });
});
