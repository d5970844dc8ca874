import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { story, VirtualWorld, type WorldOptions } from './virtual-world.js';

export const MINUTE = 60_000;

/** A run from its start to its end, in virtual time. */
export async function played(options: WorldOptions) {
  const world = new VirtualWorld(options);
  const events = await world.toTheEnd();
  const last = (type: string) => events.findLast((event) => event.type === type)?.data as Record<string, unknown>;
  const elapsed = world.clock.now().getTime() - Date.parse('2026-01-01T00:00:00.000Z');
  return { world, events, last, elapsed, run: await world.run(), story: story(events) };
}

/** What a step throws when another attempt may succeed. */
export const failing = (more: Partial<ConstructorParameters<typeof StepError>[0]> = {}) =>
  new StepError({ code: 'call.busy', message: 'Busy.', retryable: true, ...more });
