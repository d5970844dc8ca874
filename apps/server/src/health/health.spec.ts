import { expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';

import { Health } from './health.adapter.js';

it('an api process warns at once that no worker follows, and is not ready when it goes on', async () => {
  let now = 0;
  let isFollowed = false;
  const database = { query: () => Promise.resolve([]) } as unknown as DataSource;
  const health = new Health(
    new MemoryEventStore(),
    database,
    () => Promise.resolve([]),
    () => Promise.resolve(isFollowed),
    () => now,
  );
  const warning = [expect.stringContaining('no worker follows the log')];
  expect(await health.readiness()).toMatchObject({ status: 'ready', reasons: [], warnings: warning });
  now = 16_000;
  expect(await health.readiness()).toMatchObject({ status: 'not_ready', reasons: warning, publicReasons: warning });
  isFollowed = true;
  now = 17_000;
  expect(await health.readiness()).not.toHaveProperty('warnings');
  isFollowed = false;
  now = 40_000;
  expect(await health.readiness()).toMatchObject({ status: 'ready', warnings: warning });
});
