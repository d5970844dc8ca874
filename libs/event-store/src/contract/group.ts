import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { EventStore } from '../event-store.js';
import type { Faults, Gaps, Open, OpenStore } from './open-store.js';

/** What the tests of a group reach the adapter by; valid inside tests only. */
export interface Subject {
  readonly store: EventStore;
  readonly faults: Faults;
}

/** A group of tests over one store, opened before and closed after. */
export function group(title: string, open: Open, tests: (subject: Subject) => void): void {
  describe(title, () => {
    let opened: OpenStore | undefined;
    beforeAll(async () => {
      opened = await open();
    }, 60_000);
    afterAll(() => opened?.close(), 60_000);
    tests({
      get store() {
        return opened!.store;
      },
      get faults() {
        return opened!.faults ?? {};
      },
    });
  });
}

/**
 * A test that needs a fault; left out where the adapter gives a reason why it has none. That each fault is either offered or
 * has a reason is a test of its own: `gapsAreNamed`.
 */
export function faultTest<K extends keyof Faults>(
  fault: K,
  { gaps, subject }: { readonly gaps: Gaps; readonly subject: Subject },
  title: string,
  run: (fault: NonNullable<Faults[K]>) => Promise<void>,
): void {
  if (gaps[fault] !== undefined) return;
  test(title, async () => {
    const given = subject.faults[fault];
    if (given === undefined) throw new Error(`the adapter neither offers the fault "${fault}" nor says why it cannot`);
    await run(given);
  });
}

/** What the suite leaves out is known by name, with the reason in the title, and the adapter really cannot suffer it. */
export function gapsAreNamed(
  faults: readonly (keyof Faults)[],
  { gaps, subject }: { readonly gaps: Gaps; readonly subject: Subject },
): void {
  for (const fault of faults)
    test(gaps[fault] === undefined ? `${fault} is offered` : `${fault} is not offered: ${gaps[fault]}`, () => {
      expect(subject.faults[fault] === undefined).toBe(gaps[fault] !== undefined);
    });
}
