import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { type Burst, count, type FlowState, throttled, type Window } from '#libs/flow/src/flow-policy.js';
import { type CompiledDefinition, checkRule } from '../../language/definition.js';
import { SimulatedFlow } from './simulated-flow.js';

const compiled = (given: object): CompiledDefinition =>
  checkRule({
    name: 'r',
    eventSource: '*',
    eventType: 'git.push',
    actions: [{ type: 'create_issue', with: { title: 't' } }],
    ...given,
  }).compiled;

interface Match {
  readonly key: string;
  readonly time: number;
  readonly fits: boolean;
}

/** Who may act, by the policy over plain maps, in which a burst ends as soon as it is over: as the log's own events end it. */
function actsByEvents(rule: CompiledDefinition, matches: readonly Match[]): readonly boolean[] {
  const windows = new Map<string, Window>();
  const bursts = new Map<string, Burst<number>>();
  const state: FlowState<number> = {
    window: (key) => windows.get(key),
    keepWindow: (key, window) => void windows.set(key, window),
    burst: (key) => bursts.get(key),
    keepBurst: (key, burst) => void bursts.set(key, burst),
  };
  const acts = matches.map(() => false);
  const endUpTo = (time: number): void => {
    for (const [key, { last, dueAt }] of [...bursts].sort(([, a], [, b]) => a.dueAt - b.dueAt)) {
      if (dueAt > time) continue;
      bursts.delete(key);
      const { key: throttleKey } = matches[last]!;
      acts[last] = throttled(rule, { throttleKey, time: dueAt, fits: () => true }, state) === undefined;
    }
  };
  for (const [index, { key, time, fits }] of matches.entries()) {
    endUpTo(time);
    const asked = { burstKey: key, throttleKey: key, time, fits: () => fits, match: index };
    acts[index] = count(rule, asked, state).held === undefined;
  }
  endUpTo(Infinity);
  return acts;
}

function actsSimulated(rule: CompiledDefinition, matches: readonly Match[]): readonly boolean[] {
  const flow = new SimulatedFlow(rule);
  const acts = matches.map(() => false);
  for (const [index, { key, time, fits }] of matches.entries())
    flow.pass({ outcome: 'matched', burstKey: key, throttleKey: key }, new Date(time), fits, (held) => {
      acts[index] = held === undefined;
    });
  flow.finish();
  return acts;
}

describe('flow control over the past', () => {
  const matches = fc
    .array(fc.record({ key: fc.constantFrom('a', 'b'), wait: fc.integer({ min: 0, max: 900 }), fits: fc.boolean() }))
    .map((list) => {
      let time = 0;
      return list.map(({ wait, ...match }): Match => ({ ...match, time: (time += wait) }));
    });
  const throttle = { limit: 2, per: '3s' };

  it.each([
    { throttle },
    { once: { quiet: '1s' } },
    { once: { quiet: '1s' }, throttle },
    { debounce: { quiet: '500ms' } },
    { debounce: { quiet: '500ms', maxWait: '1s' } },
    { debounce: { quiet: '500ms', maxWait: '1s' }, throttle },
  ])('lets those act that act when bursts end by events: %j', (given) => {
    const rule = compiled(given);
    fc.assert(
      fc.property(matches, (list) => {
        expect(actsSimulated(rule, list)).toEqual(actsByEvents(rule, list));
      }),
      { numRuns: 300 },
    );
  });
});
