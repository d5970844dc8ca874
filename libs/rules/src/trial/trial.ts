import type { PlatformEvent } from '#libs/events/src/envelope.js';
import type { RuleWarning } from '#libs/events/src/shapes/rule-shape.js';
import type { Json } from '#libs/kernel/src/json.js';

import type { ActionRequest } from '../actions/action-kind.js';
import { costOf, errorInWords, evaluateConditions, trace, draftContext } from '../engine/evaluate-rule.js';
import type { Failure, TraceEntry } from '../language/condition.js';
import type { CheckedRule } from '../language/definition.js';
import { warningsOf } from '../language/warnings.js';

/** What a rule would make of an event. Nothing is done. */
export interface Trial {
  readonly outcome: 'matched' | 'not_matched' | 'errored';
  readonly failed?: Failure;
  readonly error?: string;
  readonly trace: readonly TraceEntry[];
  readonly warnings: readonly RuleWarning[];
  readonly actions: readonly TriedAction[];
  /** What would hold back one match or another, where the rule has it. Nothing is counted. */
  readonly flow?: TriedFlow;
}

export interface TriedFlow {
  /** At most `limit` matches a `per` of those with this key, filled in. */
  readonly throttle?: { readonly key: string; readonly limit: number; readonly per: string };
  /** The first of a burst of those with this key, filled in. */
  readonly once?: { readonly key: string; readonly quiet: string };
  /** The last of a burst of those with this key, filled in. */
  readonly debounce?: { readonly key: string; readonly quiet: string; readonly maxWait?: string };
  /** The hours at which the rule acts, in words. */
  readonly window?: { readonly text: string };
}

/** An action filled in, and the event by which it would be asked for. */
export interface TriedAction {
  readonly type: string;
  readonly with: Json;
  readonly request: ActionRequest;
}

/** Pure. Whether a throttle would hold back the match is not said: it depends on what came before. */
export function tryOut({ definition, compiled }: CheckedRule, event: PlatformEvent<unknown>): Trial {
  const warnings = warningsOf(definition, compiled);
  let seen: readonly TraceEntry[] = [];
  try {
    seen = trace(definition, compiled, event);
    const outside = seen.find(
      ({ pointer, holds }) => !holds && (pointer === '/eventSource' || pointer === '/eventType'),
    );
    if (outside) return { outcome: 'not_matched', failed: filterFailure(outside), trace: seen, warnings, actions: [] };
    const verdict = evaluateConditions(compiled, event);
    if (verdict.outcome === 'not_matched')
      return { outcome: 'not_matched', failed: verdict.failed, trace: seen, warnings, actions: [] };
    if (verdict.outcome === 'errored')
      return { outcome: 'errored', error: verdict.error, trace: seen, warnings, actions: [] };
    // What is shown is filled in a second time, and paid for by itself: a match must not fail here alone.
    const [asked, shown] = [costOf(event), costOf(event)];
    const actions = compiled.actions.map((action, index) => {
      // What the action cannot use shows here.
      const request = action.request(event, draftContext(event, index), asked);
      return { type: action.type, with: action.render(event, shown), request };
    });
    const { throttle, once, debounce } = definition;
    const key = verdict.burstKey ?? '';
    const flow: TriedFlow = {
      ...(throttle && { throttle: { key: verdict.throttleKey ?? '', limit: throttle.limit, per: throttle.per } }),
      ...(once && { once: { ...once, key } }),
      ...(debounce && { debounce: { ...debounce, key } }),
      ...(compiled.window && { window: { text: compiled.window.text } }),
    };
    return { outcome: 'matched', trace: seen, warnings, actions, ...(Object.keys(flow).length > 0 && { flow }) };
  } catch (error) {
    return { outcome: 'errored', error: errorInWords(error), trace: seen, warnings, actions: [] };
  }
}

const filterFailure = ({ pointer, condition, field = '', actual, expected }: TraceEntry): Failure => ({
  pointer,
  condition,
  field,
  actual,
  expected,
});
