import { describe, expect, it } from '@jest/globals';

import { testSteps } from '../../../testing/library.js';
import { MINUTE, played } from '../../../testing/played.js';
import { parseWorkflow } from '../../language/reading/parse-workflow.js';

const comment = (n: number, body = '', after = MINUTE) => ({
  after,
  type: 'comment.created',
  data: { body, issue: { number: n } },
});
const opened = { type: 'pr.opened', data: { issue: { number: 7 } } };
const WHEN = 'data.issue.number == event.data.issue.number';
const waiting = (wait: string, more = '') => `
name: x
triggers: [{ type: event, event: pr.opened }]
steps:
  - { id: answer, waitForEvent: ${wait} }
outputs: { got: '\${{ steps.answer.output }}' }
${more}`;

describe('a wait for an event', () => {
  it('ends with the event that fits, and nothing is done meanwhile', async () => {
    const { last, elapsed, story } = await played({
      yaml: waiting(`{ event: comment.created, when: "${WHEN}", timeout: 1d }`),
      event: opened,
      events: [comment(8), comment(7, 'Yes.', 5 * MINUTE)],
    });
    expect(last('workflow.completed')['outputs']).toMatchObject({
      got: { timedOut: false, type: 'comment.created', data: { body: 'Yes.' } },
    });
    expect(elapsed).toBe(5 * MINUTE);
    expect([...new Set(story)]).toEqual([
      'workflow.started',
      'workflow.status_changed running',
      'run.timer_set answer',
      'run.wait_begun answer',
      'run.step_awaiting answer',
      'workflow.status_changed waiting',
      'run.rested',
      'run.event_received answer',
      'workflow.step_completed answer',
      'workflow.completed',
      'workflow.status_changed completed',
    ]);
  });

  it('fails when its time is over', async () => {
    const { last, elapsed } = await played({
      yaml: waiting('{ event: comment.created, timeout: 10m }'),
      event: opened,
      events: [comment(7, 'late', 11 * MINUTE)],
    });
    expect(elapsed).toBe(10 * MINUTE);
    expect(last('workflow.failed')['error']).toMatchObject({
      code: 'wait.timeout',
      message: 'No event came before 2026-01-01T00:10:00.000Z. The step waited for comment.created.',
    });
  });

  it('hears the event that is recorded in its last millisecond', async () => {
    const { last } = await played({
      yaml: waiting('{ event: comment.created, timeout: 10m }'),
      event: opened,
      events: [comment(7, 'just', 10 * MINUTE)],
    });
    expect(last('workflow.completed')['outputs']).toMatchObject({ got: { data: { body: 'just' } } });
  });

  it('goes on without an event where it is told to', async () => {
    const { last } = await played({
      yaml: waiting('{ event: comment.created, timeout: "${{ `10` }}m", onTimeout: continue }'),
      event: opened,
    });
    expect(last('workflow.completed')['outputs']).toEqual({ got: { timedOut: true } });
  });

  it('for a length that is none fails', async () => {
    const { last } = await played({
      yaml: waiting('{ event: comment.created, timeout: "${{ \'soon\' }}" }'),
      event: opened,
    });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'wait.bad_time' });
  });

  it('ends with the first of several events, and says which', async () => {
    const { last } = await played({
      yaml: waiting(`{ any: [{ event: pr.closed }, { event: comment.created, when: "data.body == 'no'" }] }`),
      event: opened,
      events: [comment(7, 'yes'), comment(7, 'no', 2 * MINUTE), { after: 3 * MINUTE, type: 'pr.closed', data: {} }],
    });
    expect(last('workflow.completed')['outputs']).toMatchObject({ got: { choice: 1, data: { body: 'no' } } });
  });

  it('may need an event for each choice, in any order', async () => {
    const { last, elapsed } = await played({
      yaml: waiting(`{ all: [{ event: pr.closed }, { event: comment.created }, { event: comment.created }] }`),
      event: opened,
      events: [comment(7, 'a'), comment(7, 'b', 2 * MINUTE), { after: 3 * MINUTE, type: 'pr.closed', data: {} }],
    });
    const { got } = last('workflow.completed')['outputs'] as { got: { events: { data: object }[] } };
    expect(got.events.map(({ data }) => data)).toMatchObject([{}, { body: 'a' }, { body: 'b' }]);
    expect(elapsed).toBe(3 * MINUTE);
  });

  it('shows what has come when the others did not come in time', async () => {
    const { last } = await played({
      yaml: waiting(`{ all: [{ event: pr.closed }, { event: comment.created }], timeout: 1h, onTimeout: continue }`),
      event: opened,
      events: [comment(7, 'a')],
    });
    expect(last('workflow.completed')['outputs']).toMatchObject({
      got: { timedOut: true, events: [null, { data: { body: 'a' } }] },
    });
  });

  it.each([
    ['run', 'early'],
    ['step', 'late'],
  ])('looks back to the start of the %s', async (since, body) => {
    const { last } = await played({
      yaml: `
name: x
steps:
  - wait: { for: 2m }
  - { id: answer, waitForEvent: { event: comment.created, since: ${since} } }
outputs: { got: '\${{ steps.answer.output.data.body }}' }`,
      events: [comment(7, 'early'), comment(7, 'late', 3 * MINUTE)],
    });
    expect(last('workflow.completed')['outputs']).toEqual({ got: body });
  });

  it('does not take the event that started the run', async () => {
    const { last } = await played({
      yaml: waiting('{ event: pr.opened, timeout: 1m, onTimeout: continue }'),
      event: opened,
    });
    expect(last('workflow.completed')['outputs']).toEqual({ got: { timedOut: true } });
  });

  it('that comes again wants another event', async () => {
    const { last } = await played({
      yaml: `
name: x
steps:
  - id: each
    forEach: [1, 2]
    steps: [{ id: answer, waitForEvent: { event: comment.created } }]
outputs: { got: '\${{ steps.each.output.results[].data.body }}' }`,
      events: [comment(7, 'one'), comment(7, 'two', 2 * MINUTE)],
    });
    expect(last('workflow.completed')['outputs']).toEqual({ got: ['one', 'two'] });
  });

  it('sees what the run has computed', async () => {
    const { last } = await played({
      yaml: `
name: x
steps:
  - { id: ask, uses: echo, with: { value: { ticket: 5 } } }
  - { id: answer, waitForEvent: { event: comment.created, when: "steps.ask.output.ticket == data.issue.number" } }
outputs: { got: '\${{ steps.answer.output.data.body }}' }`,
      events: [comment(4, 'four'), comment(5, 'five', 2 * MINUTE)],
    });
    expect(last('workflow.completed')['outputs']).toEqual({ got: 'five' });
  });

  it('records of the run only what its condition reads', async () => {
    const { last } = await played({
      yaml: waiting(`{ event: comment.created, when: "${WHEN} && event.data.issue.number > \`1\`", timeout: 1m }`),
      event: { type: 'pr.opened', data: { issue: { number: 7, title: 'private' } } },
    });
    expect(last('run.wait_begun')['scope']).toEqual({ event: { data: { issue: { number: 7 } } } });
  });
});

describe('a wait for an event that is written wrongly', () => {
  const problems = (wait: string) => {
    const parsed = parseWorkflow(waiting(wait), testSteps);
    return parsed.ok ? [] : parsed.problems.map(({ code, line, column }) => `${code} ${line}:${column}`);
  };

  it.each([
    ['{ event: comment.creatd }', 'workflow.unknown_event_type 5:42'],
    ['{ event: comment.created, when: "dta == `1`" }', 'workflow.unknown_name 5:65'],
    ['{ event: comment.created, when: "steps.later.output" }', 'workflow.unknown_step 5:65'],
    ['{ event: comment.created, timeout: soon }', 'workflow.bad_value 5:68'],
    ['{ event: comment.created, timeout: 0s }', 'workflow.bad_value 5:68'],
    ['{ any: [{ event: pr.closed }] }', 'workflow.bad_value 5:40'],
    ['{ any: [{ event: pr.closed }, { when: "data" }] }', 'workflow.missing_key 5:63'],
    ['{ event: comment.created, onTimeout: stop }', 'workflow.bad_value 5:70'],
    ['{ since: run }', 'workflow.missing_key 5:33'],
    ['5', 'workflow.bad_value 5:33'],
  ])('%s', (wait, problem) => {
    expect(problems(wait)).toContain(problem);
  });

  it('is warned of where every event would be tested for every run, and of fields that no event has', () => {
    const parsed = parseWorkflow(waiting(`{ event: comment.created, when: "data.bdy && ${WHEN}" }`), testSteps);
    if (!parsed.ok) throw new Error('it does not parse');
    expect(parsed.warnings().map(({ code }) => code)).toEqual(
      expect.arrayContaining(['workflow.slow_wait', 'expression.unknown_field']),
    );
  });
});
