import { describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import { EXIT, ServerSaidNo, Unreachable } from '../failures.js';
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

  describe('tail', () => {
    const message = (position: number): string =>
      `id: ${position}\ndata: ${JSON.stringify(event(`evt_${position}`, position))}\n\n`;
    /** A shell that gets these answers one after the other, and is interrupted with the last one. */
    const shellWith = (...answers: readonly (string | Error)[]): FakeShell => {
      const left = [...answers];
      const shell: FakeShell = new FakeShell();
      shell.quiet = true;
      shell.call = async <T>(method: string, path: string): Promise<T> => {
        shell.asked.push({ method, path, body: undefined });
        const answer = left.shift()!;
        if (left.length === 0) shell.interrupt.abort();
        if (answer instanceof Error) throw answer;
        return Promise.resolve(answer as T);
      };
      return shell;
    };

    it('shows events as they come, and goes on after the last one where the connection is cut', async () => {
      const shell = shellWith(`retry: 2000\nid: 7\n\n${message(8)}: keep-alive\nid: 9\n\nid: 10\nda`, message(10));
      expect(await verb('tail', shell, [], { type: 'git.push' })).toBe(EXIT.interrupted);
      expect(shell.out).toEqual(['evt_8', 'evt_10']);
      expect(shell.asked.map(({ path }) => path)).toEqual([
        '/api/v1/events/stream?type=git.push',
        '/api/v1/events/stream?type=git.push&after=9',
      ]);
    });

    it('begins after a position, and tells what was left out and why the stream ended', async () => {
      const skipped = 'event: skipped\nid: 30\ndata: {"count":12,"fromPosition":"11","toPosition":"30"}\n\n';
      const shell = shellWith(
        `${skipped}event: end\ndata: {"code":"server.stopping","detail":"The server stops."}\n\n`,
      );
      await verb('tail', shell, [], { after: '10' });
      expect(shell.asked[0]!.path).toBe('/api/v1/events/stream?after=10');
      expect(shell.out).toEqual([]);
      expect(shell.notes).toEqual([
        '12 events were left out because this terminal reads too slowly: positions 11 to 30.',
        'The server stops.',
      ]);
    });

    it('waits for a server that went away, but not for one that was never there or says no', async () => {
      const away = new Unreachable('away');
      const back = shellWith(message(1), away, message(2));
      await verb('tail', back);
      expect(back.out).toEqual(['evt_1', 'evt_2']);
      await expect(verb('tail', shellWith(away, ''))).rejects.toBe(away);
      const no = new ServerSaidNo(422, 'query.invalid', 'no');
      await expect(verb('tail', shellWith(message(1), no, ''))).rejects.toBe(no);
    });
  });

  it('puts an event in quarantine, with a reason, and releases it', async () => {
    const shell = new FakeShell({
      'POST /api/v1/events/evt_1/quarantine': { eventId: 'evt_1', reason: 'a test', by: 'token/tok_1', at: 't' },
      'DELETE /api/v1/events/evt_1/quarantine': null,
    });
    await verb('quarantine', shell, ['evt_1'], { reason: 'a test' });
    await verb('release', shell, ['evt_1']);
    expect(shell.asked.map(({ body }) => body)).toEqual([{ reason: 'a test' }, undefined]);
    expect(shell.out).toEqual([
      'evt_1 is in quarantine. To release it: millrace event release evt_1',
      'evt_1 is released.',
    ]);
    await expect(verb('quarantine', shell, ['evt_1'])).rejects.toThrow('--reason');
  });

  it('says in lists and stories which events are in quarantine', async () => {
    const { metadata, ...rest } = event('evt_1', 1);
    const shell = new FakeShell({
      'GET /api/v1/events?limit=200': {
        data: [{ ...rest, metadata: { ...metadata, quarantine: { reason: 'a test' } } }],
        nextCursor: null,
      },
      'GET /api/v1/events/evt_1/trace': { root: { ...rest, quarantined: true, children: [] }, truncated: false },
    });
    await verb('ls', shell);
    await verb('trace', shell, ['evt_1']);
    expect(shell.out[1]).toContain('evt_1  (in quarantine)');
    expect(shell.out[2]).toContain('evt_1  (in quarantine)  ←');
  });

  it('draws the story of an event', async () => {
    const node = (id: string, type: string, children: readonly object[] = [], gapMs?: number) => ({
      id,
      type,
      subject: 's',
      timestamp: 't',
      children,
      gapMs,
    });
    const root = node('evt_1', 'a', [
      node('evt_2', 'b', [node('evt_3', 'c', [], 120)], 2_500),
      node('evt_4', 'd', [], 26 * 3_600_000),
    ]);
    const shell = new FakeShell({ 'GET /api/v1/events/evt_3/trace': { root, truncated: true } });
    await verb('trace', shell, ['evt_3']);
    expect(shell.out).toEqual([
      'a  s  t  evt_1',
      '├─ b  s  t  evt_2  +2.5 s',
      '│  └─ c  s  t  evt_3  +120 ms  ←',
      '└─ d  s  t  evt_4  +1.1 d',
    ]);
    expect(shell.notes).toEqual(['Only the first 4 events of this story are shown.']);
  });
});
