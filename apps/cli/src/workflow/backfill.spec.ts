import { describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import { backfillVerb } from './backfill.js';

const PATH = 'POST /api/v1/workflows/a%20b/schedule/backfill';
const at = (minute: number) => `2026-11-20T09:0${minute}:00.000Z`;
const ticks = [
  { trigger: 'every 1m', at: at(1) },
  { trigger: 'every 1m', at: at(2) },
  { trigger: 'every 2m', at: at(2) },
  { trigger: 'every 1m', at: at(3) },
];
const missed = { count: 4, started: false, ticks };
const range = { from: at(0), to: at(9) };
const run = (shell: FakeShell, options: Parameters<typeof backfillVerb.run>[2]) =>
  backfillVerb.run(shell, ['a b'], { ...range, ...options });
const bodies = (shell: FakeShell) => shell.asked.map(({ body }) => body);

describe('workflow backfill', () => {
  it('lists what was missed and starts nothing unless that is confirmed', async () => {
    const shell = new FakeShell({ [PATH]: missed });
    expect(await run(shell, {})).toBe(0);
    expect(shell.out.slice(0, 2)).toEqual(['AT | SCHEDULE', `${at(1)} | every 1m`]);
    expect(shell.notes).toEqual(['4 times were missed. Repeat the command with --yes to start a run for each.']);
    expect(await run(shell, { yes: true, dryRun: true })).toBe(0);
    expect(shell.notes.at(-1)).toBe('4 times were missed.');
    expect(bodies(shell)).toEqual([range, range]);
  });

  it('starts them when their number is confirmed, and refuses another one', async () => {
    const shell = new FakeShell({ [PATH]: missed });
    await expect(run(shell, { confirm: '3' })).rejects.toThrow('4 times were missed, not 3. Use --confirm 4');
    expect(await run(shell, { confirm: '4' })).toBe(0);
    expect(bodies(shell).slice(2)).toEqual([{ from: at(1), to: '2026-11-20T09:03:00.001Z', count: 4 }]);
    expect(shell.out).toEqual(['4 of 4 runs of "a b" started.']);
  });

  it('starts so many a second, those of one time together, and says where it stopped', async () => {
    const shell = new FakeShell({
      [PATH]: (body: { count?: number }) => {
        if (body.count === 3) shell.interrupt.abort();
        return missed;
      },
    });
    expect(await run(shell, { yes: true, rate: '2' })).toBe(1);
    expect(bodies(shell).slice(1)).toEqual([{ from: at(1), to: '2026-11-20T09:02:00.001Z', count: 3 }]);
    expect(shell.bars).toContain('3 of 4 runs');
    expect(shell.out).toEqual(['3 of 4 runs of "a b" started.']);
    expect(shell.notes).toEqual(['Repeat the command to start the others.']);
  });

  it('prints JSON', async () => {
    const shell = new FakeShell({ [PATH]: missed });
    shell.json = true;
    await run(shell, {});
    await run(shell, { yes: true });
    expect(shell.out.map((text) => JSON.parse(text) as object)).toEqual([
      { count: 4, started: 0, ticks },
      { workflow: 'a b', count: 4, started: 4 },
    ]);
  });

  it('has nothing to do where nothing was missed', async () => {
    const shell = new FakeShell({ [PATH]: { count: 0, started: false, ticks: [] } });
    expect(await run(shell, { yes: true })).toBe(0);
    expect(shell.notes).toEqual(['No times were missed in this range.']);
    expect(shell.asked).toHaveLength(1);
  });

  it.each([
    [{ from: undefined }, '--from and --to'],
    [{ rate: '0' }, '--rate must be a whole number above 0'],
    [{ confirm: 'all' }, '--confirm must be a whole number above 0'],
  ])('refuses %j', async (options, message) => {
    await expect(run(new FakeShell(), options)).rejects.toThrow(message);
  });
});
