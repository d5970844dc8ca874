import { describe, expect, it } from '@jest/globals';

import { cancelRun } from '#libs/workflows/src/run/commands/cancel-run.js';
import { runTests, StepLibrary } from '#libs/workflows/src/trial/run-tests.js';
import { builtInSteps } from '#libs/steps/src/built-in.js';
import { decideApproval } from '#libs/workflows/src/approvals/decide-approval.js';
import { ticksAfter } from '#libs/workflows/src/triggers/ticks.js';

import type { VirtualWorld } from '../../libs/workflows/testing/virtual-world.js';
import { differencesWhenKilled, type History, told } from './history.js';

/*
 * Stories that every workflow engine tells. Each is played in virtual time, and once more for every append with the
 * process killed there. Child workflows and queues are in on-a-server.e2e.spec.ts.
 */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe('a saga', () => {
  const saga = (refused: string): History => ({
    yaml: `
name: trip
steps:
  - { id: flight, uses: http, with: { method: POST, url: https://flights.example.com } }
  - { id: hotel, uses: http, with: { method: POST, url: https://hotels.example.com } }
  - { id: car, uses: http, with: { method: POST, url: https://cars.example.com } }
onFailure:
  - { if: steps.hotel.status == 'completed', uses: http, with: { method: DELETE, url: https://hotels.example.com } }
  - { if: steps.flight.status == 'completed', uses: http, with: { method: DELETE, url: https://flights.example.com } }
`,
    service: ({ url, method }) => (url.includes(refused) && method === 'POST' ? 409 : {}),
  });

  it('undoes what was done, the last first, where a step fails', async () => {
    const { status, calls, error } = await told(saga('cars'));
    expect(status).toBe('failed');
    expect(error).toMatchObject({ code: 'http.status', path: 'car' });
    expect(calls.map((call) => call.replace('https://', ''))).toEqual([
      'POST flights.example.com',
      'POST hotels.example.com',
      'POST cars.example.com',
      'DELETE hotels.example.com',
      'DELETE flights.example.com',
    ]);
    expect((await told(saga('hotels'))).calls).toEqual([
      'POST https://flights.example.com',
      'POST https://hotels.example.com',
      'DELETE https://flights.example.com',
    ]);
  });

  it('undoes each once, wherever the process dies', async () => {
    expect(await differencesWhenKilled(() => saga('cars'))).toEqual([]);
  });
});

describe('polling', () => {
  const poll = (doneAfter: number): History => ({
    yaml: `
name: poll
steps:
  - id: poll
    while: { condition: "steps.ask.output.body.state != 'done'", maxIterations: 10, delay: 1m }
    steps: [{ id: ask, uses: http, with: { url: https://jobs.example.com/7 } }]
outputs: { asked: "\${{ steps.poll.output.iterations }}" }
`,
    // Says what time it is, so that a repeated call gets the same answer.
    meanwhile: (world) => {
      now = world.clock.now().getTime();
      return Promise.resolve(false);
    },
    service: () => ({ state: now - START >= doneAfter ? 'done' : 'running' }),
  });
  const START = Date.parse('2026-01-01T00:00:00.000Z');
  let now = START;

  it('asks at intervals until the answer is there', async () => {
    now = START;
    const { outputs, elapsed } = await told(poll(2 * MINUTE));
    expect({ outputs, elapsed }).toEqual({ outputs: { asked: 4 }, elapsed: 3 * MINUTE });
  });

  it('gives up in the end', async () => {
    now = START;
    expect((await told(poll(DAY))).error).toMatchObject({ code: 'step.too_many_iterations' });
  });

  it('asks as often as it has to, wherever the process dies', async () => {
    const again = (doneAfter: number) => () => {
      now = START;
      return poll(doneAfter);
    };
    expect(await differencesWhenKilled(again(2 * MINUTE))).toEqual([]);
    expect(await differencesWhenKilled(again(DAY))).toEqual([]);
  });
});

describe('an expense', () => {
  const expense = (amount: number, decision?: 'approve' | 'reject'): History => ({
    yaml: `
name: expense
triggers: [{ type: manual, inputs: { amount: { type: number } } }]
steps:
  - id: ask
    if: inputs.amount > \`100\`
    approval: { title: "Pay \${{ inputs.amount }}?", approvers: [finance], timeout: 2d, onTimeout: continue, onReject: continue }
  - id: pay
    if: steps.ask.status == 'skipped' || steps.ask.output.approved
    uses: http
    with: { method: POST, url: https://bank.example.com/payments, body: { amount: "\${{ inputs.amount }}" } }
outputs: { paid: "\${{ steps.pay.status == 'completed' }}", late: "\${{ steps.ask.output.timedOut }}" }
`,
    inputs: { amount },
    ...(decision && { meanwhile: (world: VirtualWorld) => decide(world, decision) }),
  });
  const decide = async (world: VirtualWorld, decision: 'approve' | 'reject') => {
    const run = { runId: world.runId, path: 'ask' };
    const who = { orgId: world.orgId, actor: 'token/finance', roles: [], name: 'finance' };
    const isAsked = (await world.events()).some(({ type }) => type === 'approval.requested');
    // Again and again, as an impatient person: a vote counts once.
    if (isAsked) await decideApproval(world.memory, run, who, { decision }, () => world.clock.now());
    return false;
  };

  it('that is small is paid at once; a large one once somebody approves', async () => {
    expect((await told(expense(50))).outputs).toEqual({ paid: true, late: null });
    expect((await told(expense(500, 'approve'))).outputs).toEqual({ paid: true, late: false });
  });

  it('that is rejected, or that nobody decides in two days, is not paid', async () => {
    const rejected = await told(expense(500, 'reject'));
    expect({ outputs: rejected.outputs, calls: rejected.calls }).toEqual({
      outputs: { paid: false, late: false },
      calls: [],
    });
    const forgotten = await told(expense(500));
    expect({ outputs: forgotten.outputs, elapsed: forgotten.elapsed }).toEqual({
      outputs: { paid: false, late: true },
      elapsed: 2 * DAY,
    });
  });

  it('is paid once, wherever the process dies', async () => {
    expect(await differencesWhenKilled(() => expense(500, 'approve'))).toEqual([]);
  });
});

describe('a fan-out', () => {
  const fanOut = (): History => ({
    yaml: `
name: thumbnails
triggers: [{ type: manual, inputs: { pictures: { type: string } } }]
steps:
  - id: each
    forEach: "\${{ inputs.pictures }}"
    concurrency: 3
    onItemError: continue
    steps:
      - id: make
        uses: http
        with: { method: POST, url: "https://pictures.example.com/\${{ item }}" }
        retry: { maxAttempts: 2, delay: 1s, jitter: false }
outputs:
  made: "\${{ length(steps.each.output.items[?status == 'completed']) }}"
  failed: "\${{ steps.each.output.items[?status == 'failed'].error.code }}"
`,
    inputs: { pictures: ['a', 'b', 'bad', 'c', 'd', 'e'] },
    service: ({ url }) => (url.endsWith('/bad') ? 422 : {}),
  });

  it('does what it can, and says what it could not', async () => {
    const { outputs, calls } = await told(fanOut());
    expect(outputs).toEqual({ made: 5, failed: ['http.status'] });
    expect(calls).toHaveLength(6);
  });

  it('repeats at most what was under way, wherever the process dies', async () => {
    expect(await differencesWhenKilled(fanOut)).toEqual([]);
  });
});

describe('sleeping for days', () => {
  const trial = (): History => ({
    yaml: `
name: trial
steps:
  - { id: welcome, uses: http, with: { method: POST, url: https://mail.example.com/welcome } }
  - { wait: { for: 30d } }
  - { id: remind, uses: http, with: { method: POST, url: https://mail.example.com/remind } }
  - { wait: { until: "2026-02-07T12:00:00Z" } }
  - { id: end, uses: http, with: { method: POST, url: https://mail.example.com/end } }
`,
  });

  it('wakes up to the minute, and costs a handful of events', async () => {
    const { calls, elapsed, events } = await told(trial());
    expect(calls.map((call) => call.split('/').at(-1))).toEqual(['welcome', 'remind', 'end']);
    expect(elapsed).toBe(37 * DAY + 12 * HOUR);
    expect(events.length).toBeLessThan(30);
  });

  it('sends each mail once, wherever the process dies', async () => {
    expect(await differencesWhenKilled(trial)).toEqual([]);
  });
});

describe('a run that is cancelled in flight', () => {
  const order = (): History => ({
    yaml: `
name: order
steps:
  - { id: reserve, uses: http, with: { method: POST, url: https://stock.example.com/reserve } }
  - { id: paid, waitForEvent: { event: comment.created, timeout: 7d } }
  - { id: ship, uses: http, with: { method: POST, url: https://stock.example.com/ship } }
finally:
  - if: run.status != 'completed'
    uses: http
    with: { method: DELETE, url: https://stock.example.com/reserve }
`,
    meanwhile: async (world) => {
      const events = await world.events();
      const isDue = events.some(({ type }) => type === 'run.wait_begun');
      if (!isDue || events.some(({ type }) => type === 'run.finally_started')) return false;
      await cancelRun(
        world.store,
        { runId: world.runId, orgId: world.orgId, by: 'token/customer' },
        () => world.clock.now(),
        () => Promise.resolve(world.definition),
      );
      return true;
    },
  });

  it('gives back what it holds, and does nothing else', async () => {
    const { status, calls, steps, elapsed } = await told(order());
    expect({ status, elapsed }).toEqual({ status: 'cancelled', elapsed: 0 });
    expect(calls).toEqual(['POST https://stock.example.com/reserve', 'DELETE https://stock.example.com/reserve']);
    expect(steps).toContain('paid cancelled');
  });

  it('gives it back also where the process dies on the way', async () => {
    expect(await differencesWhenKilled(order)).toEqual([]);
  });
});

describe('waiting for the first of several', () => {
  const ping = (after: number | undefined, type = 'pr.merged'): History => ({
    yaml: `
name: review
steps:
  - id: answer
    waitForEvent:
      any: [{ event: pr.merged }, { event: pr.closed }]
      timeout: 3d
      onTimeout: continue
outputs: { choice: "\${{ steps.answer.output.choice }}", late: "\${{ steps.answer.output.timedOut }}" }
`,
    events: after === undefined ? [] : [{ after, type, data: { pullRequest: { number: 7 } } }],
  });

  it('takes whichever comes first, or goes on when none does', async () => {
    expect((await told(ping(HOUR))).outputs).toEqual({ choice: 0, late: false });
    expect((await told(ping(HOUR, 'pr.closed'))).outputs).toEqual({ choice: 1, late: false });
    const none = await told(ping(undefined));
    expect({ outputs: none.outputs, elapsed: none.elapsed }).toEqual({
      outputs: { choice: null, late: true },
      elapsed: 3 * DAY,
    });
  });

  it('hears it also where the process dies', async () => {
    expect(await differencesWhenKilled(() => ping(HOUR))).toEqual([]);
  });

  it('also of work that has no event: the other branch is given up', async () => {
    const { outputs, elapsed } = await told({
      yaml: `
name: fastest
steps:
  - id: fastest
    race: true
    parallel:
      - steps: [{ wait: { for: 5m } }, { id: slow, uses: http, with: { url: https://slow.example.com } }]
      - steps: [{ wait: { for: 1m } }, { id: fast, uses: http, with: { url: https://fast.example.com } }]
outputs: { winner: "\${{ steps.fastest.output.winner }}" }
`,
    });
    expect({ outputs, elapsed }).toEqual({ outputs: { winner: 1 }, elapsed: MINUTE });
  });
});

describe('cron', () => {
  const workflow = `
name: report
triggers: [{ type: schedule, cron: "30 2 * * *", timezone: Europe/Berlin }]
steps: [{ id: report, uses: http, with: { url: "https://reports.example.com/\${{ event.data.at }}" } }]
`;

  it('starts a run a day, also when the clocks change', () => {
    const times = { cron: '30 2 * * *', timezone: 'Europe/Berlin' };
    const days = (from: string) => ticksAfter(times, new Date(from), 3).map((tick) => tick.toISOString().slice(5, 16));
    // 02:30 does not exist on 29 March 2026, and exists twice on 25 October.
    expect(days('2026-03-27T12:00:00Z')).toEqual(['03-28T01:30', '03-29T01:00', '03-30T00:30']);
    expect(days('2026-10-23T12:00:00Z')).toEqual(['10-24T00:30', '10-25T00:30', '10-26T01:30']);
  });

  it('tells the run for when it is', () => {
    const tests = `
tests:
  - name: at its time
    now: 2026-03-29T01:00:00Z
    mocks: { report: { output: {} } }
    expect: { steps: [{ id: report, with: { url: "https://reports.example.com/2026-03-29T01:00:00.000Z" } }] }
`;
    expect(runTests(workflow, tests, new StepLibrary(builtInSteps))).toMatchObject({
      ok: true,
      results: [{ passed: true }],
    });
  });
});

describe('work of others that fails for a while', () => {
  const deploy = (succeeds: number): History => {
    const seen = new Set<string>();
    return {
      yaml: `
name: deploy
steps:
  - { id: go, uses: workflow, with: { workflow: other }, retry: { maxAttempts: 3, delay: 1m, jitter: false }, onError: continue }
  - { uses: http, with: { method: POST, url: "https://chat.example.com/\${{ steps.go.status }}" } }
outputs: { go: "\${{ steps.go }}" }
`,
      respond: ({ id, type }) => {
        if (type !== 'workflow.requested') return undefined;
        seen.add(id);
        const ofRun = {
          runId: `run_${seen.size}`,
          workflowId: 'wf_1',
          workflow: 'other',
          startedAt: '2026-01-01T00:00:00.000Z',
        };
        return seen.size < succeeds
          ? { type: 'workflow.failed', data: { ...ofRun, error: { code: 'other.busy', message: 'No.' } } }
          : { type: 'workflow.completed', data: { ...ofRun, outputs: {} } };
      },
    };
  };

  it('is requested again until it succeeds, or up to the last attempt', async () => {
    expect(await told(deploy(3))).toMatchObject({
      calls: ['POST https://chat.example.com/completed'],
      elapsed: 3 * MINUTE,
    });
    expect(await told(deploy(4))).toMatchObject({
      calls: ['POST https://chat.example.com/failed'],
      outputs: { go: { error: { code: 'other.busy' }, output: { runId: 'run_3' } } },
    });
  });

  it('is requested once for each attempt, wherever the process dies', async () => {
    expect(await differencesWhenKilled(() => deploy(3))).toEqual([]);
    expect(await differencesWhenKilled(() => deploy(4))).toEqual([]);
  });
});
