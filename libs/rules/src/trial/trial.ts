import type { PlatformEvent } from '#libs/events/src/envelope.js';
import type { FailedCondition, RuleTrial, TraceEntry } from '#libs/events/src/shapes/rule-trial-shape.js';
import type { OrganisationVocabulary } from '#libs/vocabulary/src/vocabulary.js';

import { costOf, errorInWords, evaluateConditions, trace, draftContext } from '../engine/evaluate-rule.js';
import type { CheckedRule } from '../language/definition.js';
import { warningsOf } from '../language/warnings.js';

/** Pure. Whether a throttle would hold back the match is not said: it depends on what came before. */
export function tryOut(
  { definition, compiled }: CheckedRule,
  event: PlatformEvent<unknown>,
  vocabulary?: OrganisationVocabulary,
): RuleTrial {
  const warnings = warningsOf(definition, compiled, vocabulary);
  let seen: TraceEntry[] = [];
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
    const flow: NonNullable<RuleTrial['flow']> = {
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

const filterFailure = ({ pointer, condition, field = '', actual, expected }: TraceEntry): FailedCondition => ({
  pointer,
  condition,
  field,
  actual,
  expected,
});
