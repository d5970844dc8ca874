import { describe, expect, it } from '@jest/globals';

import type { BacktestResult, Decision, Why } from './rule-answers.js';
import { boundOf, followBacktest, referenceOf } from './rule-backtest.js';
import { parseDocument, UnreadableFile } from './rule-file.js';
import { backtestText, progressText, trialText, warningLines, whyText } from './rule-text.js';

const why: Why = {
  eventId: 'evt_1',
  type: 'git.push',
  source: 'github',
  decided: true,
  decisions: 0,
  rules: 0,
  nearest: [],
  nearestTriggers: [],
};
const onEvent = { eventId: 'evt_1', eventType: 'git.push', at: '2026-11-20T12:00:00.000Z' };
const decision: Extract<Decision, { kind: 'rule' }> = {
  kind: 'rule',
  ...onEvent,
  ruleId: 'rul_1',
  ruleName: 'pushes',
  ruleVersion: 2,
  outcome: 'matched',
  actions: [],
};
const ofWorkflow: Extract<Decision, { kind: 'workflow' }> = {
  kind: 'workflow',
  ...onEvent,
  workflowId: 'wf_1',
  workflow: 'deploy',
  version: '3f1c0a9be4d27586',
  trigger: 0,
  outcome: 'started',
};
const failed = {
  pointer: '/conditions/all/1',
  condition: 'data.branch equals "main"',
  field: 'data.branch',
  actual: 'topic',
  expected: 'main',
};
const near = { ruleId: 'rul_9', ruleName: 'lab', eventSource: 'gitlab', eventType: 'git.tag_pushed' };

describe('why, in words', () => {
  it('names the condition that failed, the value it saw and where it stands', () => {
    const text = whyText({ ...why, decisions: 1, rules: 1 }, [{ ...decision, outcome: 'not_matched', failed }]);
    expect(text).toContain('not matched  pushes (rul_1, version 2)');
    expect(text).toContain('data.branch equals "main", but was "topic"  (/conditions/all/1)');
  });

  it('shows workflows beside rules: the run, or why there is none', () => {
    const when = { pointer: '/triggers/0/when', condition: 'data.attempt == `1`', field: 'data.attempt', actual: 2 };
    const text = whyText(why, [
      { ...ofWorkflow, runId: 'run_1' },
      { ...ofWorkflow, outcome: 'not_matched', failed: { ...when, expected: true } },
      { ...ofWorkflow, outcome: 'skipped', reason: 'paused', detail: 'The workflow "deploy" is paused.' },
      { ...ofWorkflow, outcome: 'errored', error: 'too costly' },
    ]);
    expect(text).toContain('started      workflow deploy (trigger 0, version 3f1c0a9be4d27586)\n             run_1');
    expect(text).toContain('data.attempt == `1` is not true: data.attempt was 2  (/triggers/0/when)');
    expect(text).toContain('skipped      workflow deploy');
    expect(text).toContain('The workflow "deploy" is paused.');
    expect(text).toContain('too costly');
    // That no rule looked at the event is worth a word all the same.
    expect(text).toContain('there are no rules');
  });

  it('names what was requested, what was refused, and what went wrong', () => {
    const held = {
      pointer: '/throttle',
      condition: 'is among the first 1 in 10m',
      field: 'throttle.key',
      actual: 'db-1',
      expected: 'fewer than 1 matches with this key before',
    };
    const actions = [
      { type: 'create_issue', requestId: 'evt_2' },
      { type: 'send_webhook', requestId: 'evt_3', refused: 'too-many-hops' },
      { type: 'dispatch_workflow', requestId: 'evt_4', refused: 'unknown-workflow', detail: 'There is no workflow x.' },
      {
        type: 'send_message',
        requestId: 'evt_5',
        failed: 'message.unknown_integration',
        detail: 'No integration "y".',
      },
      { type: 'dispatch_agent', requestId: 'evt_6', waiting: 'agent.unknown', detail: 'There is no agent "z".' },
    ];
    const text = whyText(why, [
      { ...decision, actions },
      { ...decision, outcome: 'errored', error: 'too costly' },
      { ...decision, outcome: 'throttled', failed: held },
      { ...decision, outcome: 'throttled' },
    ]);
    expect(text).toContain('requested create_issue (evt_2)');
    expect(text).toContain('send_message failed: No integration "y". (message.unknown_integration)');
    expect(text).toContain('dispatch_agent waits: There is no agent "z". (agent.unknown)');
    expect(text).toContain('send_webhook was refused: too-many-hops');
    expect(text).toContain('dispatch_workflow was refused: There is no workflow x. (unknown-workflow)');
    expect(text).toContain('too costly');
    expect(text).toContain(
      'matched, but was held back: is among the first 1 in 10m; throttle.key was "db-1"  (/throttle)',
    );
    expect(text).toMatch(/matched, but was held back$/m);
  });

  it('says that there are no rules, and what to do', () => {
    const text = whyText(why, []);
    expect(text).toContain('No rule evaluated this event: there are no rules.');
    expect(text).toContain('millrace rule test my-rule.yaml --event evt_1');
  });

  it('says that no rule names the event, and which came nearest', () => {
    const text = whyText({ ...why, rules: 30, nearest: [{ ...near, reason: 'both' }] }, []);
    expect(text).toContain('none names its type and source');
    expect(text).toContain('the nearest 1 of 30');
    expect(text).toContain(
      'lab (rul_9): it names the type git.tag_pushed, and this is git.push; it names the source gitlab, and this came from github.',
    );
  });

  it.each([
    ['type', /type git\.tag_pushed/],
    ['source', /source gitlab/],
    ['disabled', /millrace rule enable rul_9/],
    ['created_later', /created after it/],
    ['changed_later', /enabled or changed after the event/],
  ])('explains %s', (reason, wanted) => {
    expect(whyText({ ...why, rules: 1, nearest: [{ ...near, reason }] }, [])).toMatch(wanted);
  });

  it.each([
    ['type', 'deploy (trigger 1): it names git.tag_pushed, pr.*, and this is git.push.'],
    ['source', 'deploy (trigger 1): it names the source gitlab, and this came from github.'],
    ['both', 'this is git.push; it names the source gitlab'],
    ['changed_later', 'saved or changed after it'],
  ])('explains the nearest triggers of workflows: %s', (reason, wanted) => {
    const trigger = { workflow: 'deploy', trigger: 1, reason, event: ['git.tag_pushed', 'pr.*'], source: ['gitlab'] };
    expect(whyText({ ...why, nearestTriggers: [trigger] }, [])).toContain(wanted);
  });

  it('says so where the rules have not come to the event yet', () => {
    expect(whyText({ ...why, decided: false }, [])).toContain('not been evaluated for this event yet');
  });
});

describe('a trial, in words', () => {
  it('shows every condition with what it saw, and the actions filled in', () => {
    const text = trialText({
      outcome: 'not_matched',
      failed,
      trace: [
        { pointer: '/conditions', condition: 'all of 1', holds: false },
        { pointer: '/conditions/all/0', condition: 'data.n gt 1', holds: true, field: 'data.n', actual: 2 },
      ],
      warnings: [],
      actions: [
        {
          type: 'create_issue',
          with: { title: 'look' },
          request: { type: 'issue.requested', data: { title: 'look' } },
        },
      ],
      flow: { throttle: { key: 'db-1', limit: 2, per: '10m' } },
    });
    expect(text).toContain('at most 2 a 10m for the key "db-1"');
    expect(text.split('\n').slice(0, 5)).toEqual([
      'not matched',
      '  data.branch equals "main", but was "topic"  (/conditions/all/1)',
      '',
      'fails  all of 1  (/conditions)',
      'holds  data.n gt 1: 2  (/conditions/all/0)',
    ]);
    expect(text).toContain('    "title": "look"');
  });

  it.each([
    [{ window: { text: 'mon 09:00-17:00 UTC' } }, 'acts mon 09:00-17:00 UTC'],
    [{ once: { key: '', quiet: '5m' } }, 'acts on the first of a burst, which ends after 5m without a match'],
    [
      { debounce: { key: 'a', quiet: '5m', maxWait: '1h' } },
      'acts on the last of a burst, after 5m without a match, or 1h after the first for the key "a"',
    ],
  ])('names what would hold it back: %j', (flow, wanted) => {
    expect(trialText({ outcome: 'matched', trace: [], warnings: [], actions: [], flow }).split('\n')).toContain(wanted);
  });

  it('places warnings', () => {
    const warning = { pointer: '/conditions/field', code: 'x', message: 'there is no field brnach here.', column: 6 };
    expect(warningLines([warning, { ...warning, column: undefined as never }])).toEqual([
      'warning: /conditions/field, column 6: there is no field brnach here.',
      'warning: /conditions/field: there is no field brnach here.',
    ]);
  });
});

const result: BacktestResult = {
  scanned: 12_345,
  matched: 2,
  notMatched: 12_343,
  throttled: 0,
  errored: 0,
  notNamed: 0,
  samples: [{ eventId: 'evt_1', type: 'git.push', subject: '', timestamp: 't', outcome: 'not_matched', failed }],
  reasons: [{ pointer: '/conditions/all/1', condition: 'data.branch equals "main"', count: 12_343 }],
  throttleExact: true,
  warnings: [],
  elapsedMs: 1_234,
};

describe('a backtest, in words', () => {
  it('shows counts, what decided and examples', () => {
    const text = backtestText(result);
    expect(text).toContain('12,345 events looked at in 1.2 s');
    expect(text).toContain('12,343  data.branch equals "main"  (/conditions/all/1)');
    expect(text).toContain('Newest not matched:\n  t  evt_1  git.push  data.branch equals "main", but was "topic"');
    expect(text).not.toContain('throttled');
  });

  it('shows where the draft and the saved rule part', () => {
    const sample = { eventId: 'evt_7', type: 'git.push', subject: 's', timestamp: 't' };
    const text = backtestText({
      ...result,
      difference: {
        ruleId: 'rul_1',
        version: 3,
        both: 1,
        onlyDraft: { count: 1, samples: [sample] },
        onlyOther: { count: 0, samples: [] },
        other: result,
      },
    });
    expect(text).toContain('Against rul_1, version 3: both match 1,\nonly the draft 1, only the saved rule 0.');
    expect(text).toContain('Only the draft:\n  t  evt_7  git.push  s');
    expect(text).not.toContain('Only the saved rule:');
  });

  it('draws how far it is', () => {
    expect(progressText({ scanned: 500, total: 1000, percent: 50, rate: 250 })).toBe(
      '[============            ]  50 %  500 of about 1,000 events, 250/s',
    );
  });
});

async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield await Promise.resolve(Buffer.from(text));
}

describe('the lines of a backtest', () => {
  const line = (value: object): string => `${JSON.stringify(value)}\n`;
  const progress = { scanned: 1, total: 2, percent: 50, rate: 1 };

  it('are put together from whatever pieces come', async () => {
    const told: object[] = [];
    const text = line({ progress }) + line({ result });
    const pieces = text.match(/.{1,7}/gs)!;
    expect(await followBacktest(chunks(...pieces), (one) => told.push(one))).toEqual(result);
    expect(told).toEqual([progress]);
  });

  it('end with what went wrong, also where the server just ended', async () => {
    const error = { code: 'log.unavailable', detail: 'Try again.' };
    await expect(followBacktest(chunks(line({ progress }), line({ error })), () => undefined)).rejects.toThrow(
      'Try again.',
    );
    await expect(followBacktest(chunks(line({ progress })), () => undefined)).rejects.toMatchObject({
      code: 'backtest.cut_off',
    });
  });
});

describe('what is typed', () => {
  it('may be a time, a position, or how long ago', () => {
    const now = new Date('2026-11-20T12:00:00Z');
    expect(boundOf('2026-11-01', now)).toBe('2026-11-01');
    expect(boundOf('1234', now)).toBe('1234');
    expect(boundOf('7d', now)).toBe('2026-11-13T12:00:00.000Z');
  });

  it.each([
    ['rul_1', { rule: 'rul_1' }],
    ['rul_1@3', { rule: 'rul_1', version: 3 }],
    ['pushes to main', { rule: 'pushes to main' }],
    ['pushes to main@12', { rule: 'pushes to main', version: 12 }],
    ['a@b', { rule: 'a@b' }],
  ])('names a rule and perhaps a version: %s', (text, wanted) => {
    expect(referenceOf(text)).toEqual(wanted);
  });

  it('may be YAML or JSON, and its mistakes have a place', () => {
    expect(parseDocument('{"a": 1}', 'x.json').value).toEqual({ a: 1 });
    expect(parseDocument('a: 1\n', 'x.yaml').value).toEqual({ a: 1 });
    expect(() => parseDocument('a: 1\nb: [1,\nc: 2', 'x.yaml')).toThrow(/^x\.yaml:3:\d+: /);
    expect(() => parseDocument(' '.repeat(3_000_000), 'x.yaml')).toThrow(UnreadableFile);
  });
});
