import { describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import { EXIT } from '../failures.js';
import type { Given } from '../nouns/verb-table.js';
import { eventVerbs } from './event-verbs.js';

const verb = (name: string, shell: FakeShell, args: readonly string[] = [], options: Given = {}) =>
  eventVerbs.find(({ usage }) => usage.split(' ')[0] === name)!.run(shell, args, options);
const event = (id: string, position: number) => ({
  id,
  type: 'git.push',
  source: 'github',
  subject: 'repository/acme/app',
  timestamp: 't',
  metadata: { position: String(position), receivedAt: `t${position}` },
});

describe('event', () => {
  it('searches the log, page by page, up to a number', async () => {
    const shell = new FakeShell({
      'GET /api/v1/events?type=git.*&from=2026-11-30T00%3A00%3A00Z&limit=200': {
        data: [event('evt_3', 3), event('evt_2', 2)],
        nextCursor: 'c',
      },
      'GET /api/v1/events?type=git.*&from=2026-11-30T00%3A00%3A00Z&limit=200&cursor=c': {
        data: [event('evt_1', 1)],
        nextCursor: 'd',
      },
    });
    await verb('ls', shell, [], { type: 'git.*', from: '2026-11-30T00:00:00Z', limit: '3' });
    expect(shell.out).toEqual([
      'RECEIVED | TYPE | SOURCE | SUBJECT | ID',
      't3 | git.push | github | repository/acme/app | evt_3',
      't2 | git.push | github | repository/acme/app | evt_2',
      't1 | git.push | github | repository/acme/app | evt_1',
    ]);
    await expect(verb('ls', shell, [], { limit: 'all' })).rejects.toThrow('--limit must be a whole number');
  });

  it('shows one as JSON', async () => {
    const shell = new FakeShell({ 'GET /api/v1/events/evt_1': event('evt_1', 1) });
    await verb('view', shell, ['evt_1']);
    expect(JSON.parse(shell.out[0]!)).toEqual(event('evt_1', 1));
  });

  it.each(['create', 'publish'])('%ss one, from a file or from flags', async (name) => {
    const shell = new FakeShell({ 'POST /api/v1/events': { id: 'evt_9', duplicate: false } });
    await verb(name, shell, ['push.json'], { subject: 'repository/acme/app' });
    await verb(name, shell, [], { type: 'release.published', data: '{"tag":"v1"}', source: 'bot' });
    expect(shell.asked.map(({ body }) => body)).toEqual([
      { type: 'git.push', subject: 'repository/acme/app' },
      { type: 'release.published', data: { tag: 'v1' }, source: 'bot' },
    ]);
    expect(shell.out[0]).toMatch(/^evt_9 is published/);
  });

  it.each<[readonly string[], Given]>([
    [[], {}],
    [['push.json'], { type: 'git.push' }],
  ])('publishes nothing from %j and %j: it needs a file or a type', async (args, options) => {
    await expect(verb('create', new FakeShell(), args, options)).rejects.toThrow('Name a file with an event');
  });

  it('follows the log from its end until it is interrupted, and misses nothing', async () => {
    const pages = [[event('evt_8', 8), event('evt_9', 9)], []];
    const asked: string[] = [];
    const shell = Object.assign(new FakeShell(), { quiet: true });
    shell.call = async <T>(_: string, path: string): Promise<T> => {
      asked.push(path);
      const isFirst = asked.length === 1;
      if (asked.length === 3) shell.interrupt.abort();
      return Promise.resolve({ data: isFirst ? [event('evt_7', 7)] : pages.shift(), nextCursor: null } as T);
    };
    expect(await verb('tail', shell, [], { type: 'git.push' })).toBe(EXIT.interrupted);
    expect(shell.out).toEqual(['evt_8', 'evt_9']);
    expect(asked).toEqual([
      '/api/v1/events?limit=1',
      '/api/v1/events?type=git.push&order=asc&fromPosition=8&limit=200',
      '/api/v1/events?type=git.push&order=asc&fromPosition=10&limit=200',
    ]);
  });

  it('draws the story of an event', async () => {
    const node = (id: string, type: string, children: readonly object[] = []) => ({
      id,
      type,
      subject: 's',
      timestamp: 't',
      children,
    });
    const root = node('evt_1', 'a', [node('evt_2', 'b', [node('evt_3', 'c')]), node('evt_4', 'd')]);
    const shell = new FakeShell({ 'GET /api/v1/events/evt_3/trace': { root, truncated: true } });
    await verb('trace', shell, ['evt_3']);
    expect(shell.out).toEqual(['a  s  t  evt_1', '├─ b  s  t  evt_2', '│  └─ c  s  t  evt_3  ←', '└─ d  s  t  evt_4']);
    expect(shell.notes).toEqual(['Only the first 4 events of this story are shown.']);
  });
});
