import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { ExactNumber, parseJson } from '#libs/kernel/src/text/exact-json.js';

import { arbitraryWorkflow } from '../../../testing/arbitrary-workflow.js';
import { failing } from '../../../testing/played.js';
import { VirtualWorld } from '../../../testing/virtual-world.js';
import { foldRun, type RunFact, type StartedRun } from '../../engine/run-state.js';
import { cancelRun } from '../commands/cancel-run.js';
import { noteCrash, pauseRun, resumeRun } from '../commands/hold-run.js';
import { type RunSnapshot, runInSnapshot, SNAPSHOT_EVERY, snapshotText } from './run-snapshot.js';
import { readStoredRun } from './stored-run.js';

const factsOf = (events: readonly RecordedEvent[]): RunFact[] =>
  events.map(({ type, data, metadata: { timestamp } }) => ({ type, data, timestamp }));

/** Keeps the text, as the database does. */
class MemorySnapshots {
  readonly kept = new Map<string, Omit<RunSnapshot, 'run'> & { readonly text: string }>();
  readonly saved: bigint[] = [];

  find(runId: string): Promise<RunSnapshot | undefined> {
    const { text, ...more } = this.kept.get(runId) ?? {};
    const run = text === undefined ? undefined : runInSnapshot(text, runId);
    return Promise.resolve(run && ({ run, ...more } as RunSnapshot));
  }

  save({ run, ...more }: RunSnapshot): Promise<void> {
    this.saved.push(more.revision);
    this.kept.set(run.start.runId, { text: snapshotText(run)!, ...more });
    return Promise.resolve();
  }
}

/** Waits after each item, so that each of them is a claim of its own. */
const LONG = `name: long
steps:
  - id: each
    forEach: "\${{ inputs.items }}"
    steps:
      - { id: ask, uses: call, with: { to: x } }
      - { id: nap, wait: { for: 1m } }
outputs: { last: "\${{ steps.each.output.results[-1] }}" }
`;

function longRun(items: number) {
  const snapshots = new MemorySnapshots();
  const read: number[] = [];
  let reading = 0;
  const readBy = async (act: () => Promise<unknown>): Promise<number> => {
    reading = 0;
    await act();
    return reading;
  };
  const world: VirtualWorld = new VirtualWorld({
    yaml: LONG.replace('"${{ inputs.items }}"', JSON.stringify(Array.from({ length: items }, (_, index) => index))),
    snapshots,
    store: (memory) =>
      new Proxy(memory, {
        get: (target, key) =>
          key === 'readStream'
            ? async (...args: Parameters<typeof target.readStream>) => {
                const events = await target.readStream(...args);
                reading += events.length;
                return events;
              }
            : (Reflect.get(target, key, target) as () => unknown).bind(target),
      }),
  });
  const goOn = async () => {
    reading = 0;
    await world.goOn();
    read.push(reading);
    const run = await world.run();
    return run.status !== 'unknown' && !run.ended && (await world.untilNext());
  };
  return { world, snapshots, read, readBy, goOn };
}

describe('a long run that is taken up again and again', () => {
  it('is read from its snapshot on, and ends as one that is read whole', async () => {
    const { world, snapshots, read, goOn } = longRun(60);
    await world.begin();
    while (await goOn());
    const events = await world.events();
    expect(events.length).toBeGreaterThan(500);
    expect(events.at(-1)).toMatchObject({ type: 'workflow.status_changed', data: { to: 'completed' } });
    expect(snapshots.saved.length).toBeGreaterThanOrEqual(4);
    // The first page, and what came since a snapshot: the events of one more claim at most.
    expect(Math.max(...read)).toBeLessThan(2 * Number(SNAPSHOT_EVERY) + 20);
  });

  it('is paused, resumed and cancelled from its snapshot on', async () => {
    const { world, snapshots, readBy, goOn } = longRun(80);
    await world.begin();
    while (snapshots.saved.length < 5) await goOn();
    const { store, runId, orgId } = world;
    const command = { runId, orgId, by: 'token/me' };
    const now = () => world.clock.now();
    const definitionOf = () => Promise.resolve(world.definition);
    for (const act of [
      () => pauseRun(store, command, now, snapshots),
      () => resumeRun(store, command, now, snapshots),
      () => noteCrash(store, runId, now, snapshots),
      () => cancelRun(store, command, now, definitionOf, snapshots),
    ])
      expect(await readBy(act)).toBeLessThan(2 * Number(SNAPSHOT_EVERY) + 20);
    expect((await world.events()).length).toBeGreaterThan(5 * Number(SNAPSHOT_EVERY));
    expect(await world.run()).toMatchObject({ status: 'cancelled' });
  });

  it.each<[string, (snapshots: MemorySnapshots, runId: string) => void]>([
    [
      'of another version of the engine',
      (given, id) => change(given, id, (text) => text.replace('"fold":', '"fold":9')),
    ],
    ['that is no JSON', (given, id) => change(given, id, () => '{')],
    ['of another run', (given, id) => change(given, id, (text) => text.replaceAll(id, 'run_other'))],
    ['of another log', (given, id) => given.kept.set(id, { ...given.kept.get(id)!, eventId: uuid7() })],
    ['that is ahead of the log', (given, id) => given.kept.set(id, { ...given.kept.get(id)!, revision: 100_000n })],
  ])('is read whole where there is a snapshot %s', async (_, spoil) => {
    const { world, snapshots, goOn } = longRun(30);
    await world.begin();
    while (snapshots.saved.length === 0) await goOn();
    const whole = await readStoredRun(world.memory, world.runId);
    const fitting = await readStoredRun(world.memory, world.runId, snapshots);
    expect(fitting).toEqual({ ...whole, savedRevision: snapshots.saved[0] });
    spoil(snapshots, world.runId);
    expect(await readStoredRun(world.memory, world.runId, snapshots)).toEqual(whole);
  });
});

function change(snapshots: MemorySnapshots, runId: string, spoil: (text: string) => string): void {
  const { text, ...more } = snapshots.kept.get(runId)!;
  const spoilt = spoil(text);
  expect(spoilt).not.toBe(text);
  snapshots.kept.set(runId, { text: spoilt, ...more });
}

describe('a snapshot of any run', () => {
  it('leads to the same as the fold from the start, wherever it is taken', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryWorkflow(true), fc.integer({ min: 1, max: 5 }), async (yaml, every) => {
        let calls = 0;
        const world = new VirtualWorld({
          yaml,
          answer: () => ({
            type: 'webhook.delivered',
            data: { deliveryId: 'd', eventId: 'e', eventType: 't', attempt: 2, latencyMs: 1, status: 200 },
          }),
          makeAttempt: () =>
            ++calls % every === 0
              ? Promise.reject(failing())
              : Promise.resolve({ big: parseJson('12345678901234567890'), text: '\u0000\ud800', nothing: undefined }),
        });
        const facts = factsOf(await world.toTheEnd());
        const whole = foldRun(facts);
        for (let cut = 1; cut <= facts.length; cut++) {
          const text = snapshotText(foldRun(facts.slice(0, cut)) as StartedRun)!;
          expect(foldRun(facts.slice(cut), runInSnapshot(text, world.runId))).toEqual(whole);
        }
      }),
      { numRuns: 12 },
    );
  });

  it('keeps the digits of numbers, and is not made of what is too large', async () => {
    const { world } = longRun(1);
    await world.begin();
    const run = (await world.run()) as StartedRun;
    const kept = { ...run, vars: { exact: new ExactNumber('1.50') } };
    expect(snapshotText(runInSnapshot(snapshotText(kept)!, world.runId)!)).toBe(snapshotText(kept));
    expect(snapshotText({ ...run, vars: { large: 'x'.repeat(5_000_000) } })).toBeUndefined();
  });
});
