import { parseDuration } from '#libs/kernel/src/time/durations.js';

import type { Integration } from '../integration/integration.js';

/** An integration that is enabled and says how often it is to be heard of. */
export interface Watched {
  readonly orgId: string;
  readonly name: string;
  readonly expectedEvery: string;
  readonly expectedMs: number;
}

export function watchedOf(state: Integration | undefined): Watched | undefined {
  if (state?.kind !== 'active' || state.settings.expectedEvery === undefined) return undefined;
  const { name, expectedEvery } = state.settings;
  return { orgId: state.orgId, name, expectedEvery, expectedMs: parseDuration(expectedEvery) };
}
