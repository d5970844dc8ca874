import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { arbitraryWorkflow } from '../../testing/arbitrary-workflow.js';
import { crashingStore, type Fault, Killed } from '../../testing/crashing-store.js';
import { VirtualWorld } from '../../testing/virtual-world.js';
import type { RequestOutcome } from '../steps/kind/step-kind.js';

const delivered: RequestOutcome = {
  type: 'webhook.delivered',
  data: { deliveryId: 'd', eventId: 'e', eventType: 't', attempt: 2, latencyMs: 1, status: 200 },
};

/** The same attempt always ends in the same way. */
const endsWell = (path: string, attempt: number): boolean =>
  parseInt(uuid5(path, String(attempt)).slice(0, 2), 16) > 100;

interface Lived {
  readonly world: VirtualWorld;
  /** Paths whose effect was done after the log had their end. */
  readonly repeated: readonly string[];
  readonly kills: number;
  readonly appends: number;
}

/** Runs a workflow to its end through all faults of the plan; a process that was killed is followed by another. */
async function lived(yaml: string, plan: readonly Fault[]): Promise<Lived> {
  const repeated: string[] = [];
  const faults = [...plan];
  let kills = 0;
  let appends = 0;
  const world: VirtualWorld = new VirtualWorld({
    yaml,
    store: (memory) =>
      crashingStore(memory, () => {
        appends++;
        return faults.shift() ?? 'none';
      }),
    answer: () => delivered,
    makeAttempt: async ({ path, attempt }) => {
      const ended = (await world.events()).some(
        (event) => event.is('workflow.step_completed', 'workflow.error') && event.data.path === path,
      );
      if (ended) repeated.push(path);
      if (endsWell(path, attempt)) return { path, attempt };
      throw new StepError({ message: 'No.', retryable: true });
    },
  });
  await world.begin();
  for (let turns = 0; turns < 2_000; turns++) {
    try {
      await world.goOn();
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      kills++;
      continue;
    }
    const run = await world.run();
    if (run.status === 'unknown' || run.ended || !(await world.untilNext())) break;
  }
  return { world, repeated, kills, appends };
}

/** Whatever happened, this holds for the stream of a run. */
function expectSound(events: readonly RecordedEvent[]): void {
  const active = new Map<string, number>();
  const tried = new Map<string, number>();
  const ended = new Set<string>();
  const requested = new Set<string>();
  const withdrawn = new Set<string>();
  const wrong: string[] = [];
  let over = false;
  for (const event of events) {
    if (over && event.type !== 'workflow.status_changed') wrong.push(`${event.type} after the end`);
    if (event.is('workflow.completed', 'workflow.failed', 'run.cancelled')) over = true;
    const path = (event.data as { path?: string }).path;
    if (path === undefined || path === '') continue;
    if (ended.has(path)) wrong.push(`${event.type} after the end of ${path}`);
    if (event.is('run.request_withdrawn')) {
      if (withdrawn.has(event.data.requestId)) wrong.push(`${event.data.requestId} withdrawn twice`);
      withdrawn.add(event.data.requestId);
    }
    if (event.is('run.step_awaiting')) {
      if (requested.has(event.data.requestId)) wrong.push(`a second request ${event.data.requestId}`);
      requested.add(event.data.requestId);
    }
    if (event.is('run.step_started') || (event.is('run.step_awaiting') && event.data.attempt !== undefined)) {
      const { attempt = 1 } = event.data;
      if (active.has(path)) wrong.push(`attempt ${attempt} of ${path} beside attempt ${active.get(path)}`);
      if (attempt !== (tried.get(path) ?? 0) + 1) wrong.push(`attempt ${attempt} of ${path} out of order`);
      active.set(path, attempt);
      tried.set(path, attempt);
    } else if (event.is('run.step_resumed', 'run.attempt_failed')) {
      if (active.get(path) !== event.data.attempt) wrong.push(`${event.type} of ${path}, which was not active`);
      if (event.is('run.attempt_failed')) active.delete(path);
    } else if (event.is('workflow.step_completed', 'workflow.error', 'run.step_skipped')) {
      active.delete(path);
      if (!event.is('run.item_completed')) ended.add(path);
    }
  }
  expect(wrong).toEqual([]);
}

interface End {
  readonly path: string;
  readonly output?: string;
  readonly error?: string;
  readonly attempts?: number;
}

/** How each step ended, which does not depend on who did it when. */
const ends = (events: readonly RecordedEvent[]): readonly End[] =>
  events
    .flatMap((event): End[] => {
      if (event.is('workflow.step_completed')) {
        const { path, output, attempts } = event.data;
        return [{ path, output: JSON.stringify(output).replaceAll(/\d{4}-[^"]*Z/g, 'time'), attempts }];
      }
      if (event.is('workflow.error'))
        return [{ path: event.data.path, error: event.data.error.code, attempts: event.data.attempts }];
      return event.is('run.step_skipped') ? [{ path: event.data.path }] : [];
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));

const plans = fc.array(fc.constantFrom<Fault>('none', 'none', 'none', 'before', 'after', 'unknown'), { maxLength: 30 });

describe('a process that is killed at any append', () => {
  it('is followed by one that goes on, repeats nothing that had ended, and comes to the same end', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryWorkflow(false), plans, async (yaml, plan) => {
        const calm = await lived(yaml, []);
        const rough = await lived(yaml, plan);
        expect(rough.repeated).toEqual([]);
        const [before, after] = [await calm.world.events(), await rough.world.events()];
        expectSound(after);
        expect(ends(after)).toEqual(ends(before));
        expect((await rough.world.run()).status).toBe((await calm.world.run()).status);
      }),
      { numRuns: 20 },
    );
  });

  it('leaves a sound stream also where steps fail the run', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryWorkflow(true), plans, async (yaml, plan) => {
        const { world, repeated } = await lived(yaml, plan);
        expect(repeated).toEqual([]);
        expectSound(await world.events());
        const run = await world.run();
        expect(run.status === 'completed' || run.status === 'failed').toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  it('at every single append in turn: nothing is done twice that had ended', async () => {
    const yaml = `
name: x
steps:
  - { id: one, uses: call, with: { to: x }, onError: continue, retry: { maxAttempts: 2 } }
  - id: each
    forEach: [1, 2]
    concurrency: 2
    steps:
      - { id: two, uses: call, with: { to: x }, onError: continue }
      - { id: nap, wait: { for: 1m } }
  - { id: three, uses: call, with: { to: x }, onError: continue, retry: { maxAttempts: 2 } }
`;
    const calm = await lived(yaml, []);
    const { appends } = calm;
    expect(appends).toBeGreaterThan(7);
    for (const kind of ['before', 'after', 'unknown'] as const)
      for (let at = 0; at < appends; at++) {
        const { world, repeated, kills } = await lived(yaml, [...Array<Fault>(at).fill('none'), kind]);
        expect({ kind, at, repeated }).toEqual({ kind, at, repeated: [] });
        expectSound(await world.events());
        if (kind !== 'unknown') expect(kills).toBe(1);
      }
  });
});

describe('two processes that drive one run', () => {
  const yaml =
    'name: x\nsteps:\n  - { id: one, uses: call, with: { to: x } }\n  - { id: two, uses: call, with: { to: x } }\n';

  it('do not both get on: the one that comes later takes the attempt over, the other stops', async () => {
    const signals: AbortSignal[] = [];
    let release: (() => void) | undefined;
    const world = new VirtualWorld({
      yaml,
      makeAttempt: async ({ path }, _run, _timeout, signal) => {
        signals.push(signal);
        // The first process hangs in its first attempt, until the second one is through.
        if (signals.length === 1) await new Promise<void>((resolve) => (release = resolve));
        return path;
      },
    });
    await world.begin();
    const first = world.goOn();
    while (release === undefined) await new Promise((resolve) => setImmediate(resolve));

    await world.goOn();
    release();
    await first;

    const events = await world.events();
    expectSound(events);
    expect(events.filter((event) => event.is('run.step_resumed'))).toHaveLength(1);
    expect(events.filter((event) => event.is('workflow.step_completed')).map(({ data }) => data)).toMatchObject([
      { path: 'one' },
      { path: 'two' },
    ]);
    expect(signals).toHaveLength(3);
  });

  it('leave a sound stream, however their turns mix', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryWorkflow(true), async (any) => {
        const world = new VirtualWorld({ yaml: any, answer: () => delivered });
        await world.begin();
        for (let turns = 0; turns < 500; turns++) {
          await Promise.all([world.goOn(), world.goOn(), world.goOn()]);
          const run = await world.run();
          if (run.status === 'unknown' || run.ended || !(await world.untilNext())) break;
        }
        expectSound(await world.events());
        expect((await world.run()).status).toMatch(/completed|failed/);
      }),
      { numRuns: 30 },
    );
  });
});

describe('a process whose clock is behind that of the database', () => {
  it('keeps a run that it was given too early until its time has come, instead of giving it back again and again', async () => {
    const world = new VirtualWorld({ yaml: 'name: x\nsteps: [{ wait: { for: 50ms } }]\n', earlyMs: 60_000 });
    await world.begin();
    await world.goOn();
    const given = world.goOn();
    const moving = setInterval(() => world.clock.advance(50), 20);
    await given;
    clearInterval(moving);
    const types = (await world.events()).map(({ type }) => type);
    expect(types.filter((type) => type === 'run.rested')).toHaveLength(2);
    expect(types.at(-2)).toBe('workflow.completed');
  });
});
