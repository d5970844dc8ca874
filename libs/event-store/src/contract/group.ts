import { afterAll, beforeAll, describe, test } from '@jest/globals';

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

/** A test that needs a fault; skipped by name where the adapter gives a reason, and failing where it gives none. */
export function faultTest<K extends keyof Faults>(
  fault: K,
  { gaps, subject }: { readonly gaps: Gaps; readonly subject: Subject },
  title: string,
  run: (fault: NonNullable<Faults[K]>) => Promise<void>,
): void {
  const reason = gaps[fault];
  if (reason !== undefined) {
    test.skip(`${title} (gap: ${reason})`, () => undefined);
    return;
  }
  test(title, async () => {
    const given = subject.faults[fault];
    if (given === undefined) throw new Error(`the adapter neither offers the fault "${fault}" nor says why it cannot`);
    await run(given);
  });
}
