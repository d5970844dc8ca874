import { describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import { replayVerbs } from './replay-verbs.js';

const replay = {
  ...{ id: 'rpl_1', mode: 'inspect', status: 'running', percent: 40, looked: 10, selected: 4, results: 4 },
  requestedAt: '2026-11-20T12:00:00.000Z',
};
const done = { ...replay, status: 'finished', percent: 100, looked: 25 };
const lines = (...all: readonly object[]) => all.map((line) => `${JSON.stringify(line)}\n\n`).join('');
const verb = (name: string, shell: FakeShell, args: readonly string[] = [], given = {}) =>
  replayVerbs.find(({ usage }) => usage.split(' ')[0] === name)!.run(shell, args, given);

describe('millrace replay', () => {
  it('creates a replay with the filter that is given', async () => {
    const shell = new FakeShell({ 'POST /api/v1/replays': replay });
    const given = { from: '2026-11-20', type: 'git.*, pr.opened', filter: "data.branch == 'main'", speed: '60' };
    expect(await verb('create', shell, [], given)).toBe(0);
    expect(shell.asked[0]!.body).toEqual({
      mode: 'inspect',
      from: '2026-11-20',
      speed: 60,
      filter: { type: ['git.*', 'pr.opened'], expression: "data.branch == 'main'" },
    });
    expect(shell.out).toEqual(['rpl_1 is running. Follow it: millrace replay watch rpl_1']);
    await expect(verb('create', shell, [], { speed: 'fast' })).rejects.toThrow('--speed must be a number above 0');
  });

  it('asks what would happen, with drafts and at another time', async () => {
    const shell = new FakeShell({ 'POST /api/v1/replays': replay });
    await verb('create', shell, [], {
      whatIf: true,
      asOf: '2026-11-01',
      rule: ['rul_1', 'rule.yaml'],
      workflow: ['sync'],
    });
    expect(shell.asked[0]!.body).toEqual({
      mode: 'what_if',
      with: {
        at: '2026-11-01',
        rules: [{ ruleId: 'rul_1' }, { draft: { name: 'pushes', eventType: 'git.push' } }],
        workflows: [{ workflow: 'sync' }],
      },
    });
    await expect(verb('create', shell, [], { whatIf: true, workflow: ['none.yaml'] })).rejects.toThrow(
      'cannot be read',
    );
    const event = {
      ...{ id: 'evt_1', type: 'git.push', source: 'github', subject: 'repository/acme/app' },
      metadata: { receivedAt: '2026-11-20T12:00:00.000Z' },
    };
    const decided = {
      kind: 'rule',
      by: 'rul_1',
      name: 'pushes',
      outcome: 'matched',
      requests: [{ type: 'issue.requested' }],
    };
    const inputs = [{ pointer: '/0/data/title', now: 'b', then: 'a' }];
    const found = {
      event,
      now: [decided],
      differences: [{ name: 'pushes', by: 'rul_1', difference: 'other_inputs', inputs }],
    };
    const compared = new FakeShell({ 'GET /api/v1/replays/rpl_1/results?differs=true': lines(found) });
    await verb('results', compared, ['rpl_1'], { differs: true });
    expect(compared.out.slice(1)).toEqual([
      '  rule pushes (rul_1): matched, issue.requested',
      '  ! pushes (rul_1): other_inputs',
      '      /0/data/title: "a" → "b"',
    ]);
  });

  it('lets chosen rules act again, with the number that is confirmed', async () => {
    const shell = new FakeShell({ 'POST /api/v1/replays': replay });
    await verb('create', shell, [], { rerun: true, rule: ['rul_1'], confirm: '37', rate: '5' });
    expect(shell.asked[0]!.body).toEqual({
      mode: 'rerun',
      rate: 5,
      confirm: 37,
      with: { rules: [{ ruleId: 'rul_1' }] },
    });
    await expect(verb('create', shell, [], { rerun: true, confirm: 'x' })).rejects.toThrow('--confirm must be a whole');
  });

  it('follows a replay to its end, and exits with 1 where it did not finish', async () => {
    const path = 'GET /api/v1/replays/rpl_1/progress';
    const shell = new FakeShell({ [path]: lines({ progress: replay }, { result: done }) });
    expect(await verb('watch', shell, ['rpl_1'])).toBe(0);
    expect(shell.bars).toEqual(['40 % · 10 events · 4 results', undefined]);
    expect(shell.out).toEqual(['rpl_1 is finished: 25 events read, 4 selected, 4 results.']);
    const error = { code: 'expression.too_costly', detail: 'Too many steps.' };
    const failed = new FakeShell({ [path]: lines({ result: { ...done, status: 'failed', error } }) });
    expect(await verb('watch', failed, ['rpl_1'])).toBe(1);
    expect(failed.out[0]).toContain('Too many steps. (expression.too_costly)');
    const cut = new FakeShell({ [path]: lines({ progress: replay }) });
    await expect(verb('watch', cut, ['rpl_1'])).rejects.toMatchObject({ code: 'replay.cut_off' });
  });

  it('shows the events with the decisions and effects that followed', async () => {
    const event = {
      ...{ id: 'evt_1', type: 'git.push', source: 'github', subject: 'repository/acme/app' },
      metadata: { receivedAt: '2026-11-20T12:00:00.000Z' },
    };
    const decisions = [
      { kind: 'rule', ruleName: 'pushes', ruleId: 'rul_1', outcome: 'matched' },
      { kind: 'workflow', workflow: 'deploy', workflowId: 'wf_1', outcome: 'started' },
    ];
    const effect = { type: 'webhook.requested', subject: 'webhook/whk_1', receivedAt: '2026-11-20T12:00:01.000Z' };
    const found = lines({ position: '1', event, decisions, effects: { events: [effect] } }, { position: '2' });
    const answers = { 'GET /api/v1/replays/rpl_1/results?follow=true': found };
    const shell = new FakeShell(answers);
    await verb('results', shell, ['rpl_1'], { follow: true });
    expect(shell.out).toEqual([
      '2026-11-20T12:00:00.000Z  git.push  github  repository/acme/app  evt_1',
      '  rule pushes (rul_1): matched',
      '  workflow deploy (wf_1): started',
      '  2026-11-20T12:00:01.000Z  webhook.requested  webhook/whk_1',
      'position 2  removed by retention',
    ]);
    const quiet = Object.assign(new FakeShell(answers), { quiet: true });
    await verb('results', quiet, ['rpl_1'], { follow: true });
    expect(quiet.out).toEqual(['evt_1']);
    const json = Object.assign(new FakeShell(answers), { json: true });
    await verb('results', json, ['rpl_1'], { follow: true });
    expect(json.out).toHaveLength(2);
  });

  it('lists, shows and cancels replays', async () => {
    const shell = new FakeShell({
      'GET /api/v1/replays?limit=200': { data: [replay], nextCursor: null },
      'GET /api/v1/replays/rpl_1': replay,
      'POST /api/v1/replays/rpl_1/cancel': { ...replay, status: 'cancelled' },
    });
    await verb('ls', shell);
    expect(shell.out[1]).toBe('2026-11-20T12:00:00.000Z | inspect | running | 40 % | 4 | rpl_1');
    await verb('view', shell, ['rpl_1']);
    expect(shell.out[2]).toContain('"status": "running"');
    await verb('cancel', shell, ['rpl_1']);
    expect(shell.out[3]).toContain('rpl_1 is cancelled: 10 events read');
  });
});
