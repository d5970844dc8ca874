import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import {
  FOLLOWS_FROM_ITSELF,
  followsFrom,
  followsFromItself,
  MAX_HOPS,
  type PlatformEvent,
} from '#libs/events/src/envelope.js';
import type { RuleDefinition } from '#libs/events/src/shapes/rule-shape.js';
import { VERDICT_TYPES } from '#libs/events/src/verdicts.js';
import { Cost, MAX_STEPS } from '#libs/expressions/src/values.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { keyText } from '#libs/kernel/src/json.js';

import type { RequestContext } from '../actions/action-kind.js';
import type { Failure, TraceEntry } from '../language/condition.js';
import type { CompiledDefinition } from '../language/definition.js';
import type { CompiledRule } from './compiled-rule.js';

/**
 * The verdict of a rule on an event whose source and type it names. `matched` may still become `throttled`: that depends
 * on earlier matches.
 */
export type RuleVerdict =
  | { readonly outcome: 'matched'; readonly throttleKey?: string; readonly burstKey?: string }
  | { readonly outcome: 'not_matched'; readonly failed: Failure }
  | { readonly outcome: 'errored'; readonly error: string };

/** What follows from nothing but verdicts. A refusal to act on it is in the decision alone: it would be such an event itself. */
export const isAboutVerdicts = (event: RecordedEvent): boolean => event.is(...VERDICT_TYPES);

/** Rules about verdicts would never end, so that beyond the limit none is evaluated. */
export const isBeyondHops = (event: RecordedEvent): boolean => isAboutVerdicts(event) && event.metadata.hop > MAX_HOPS;

/** Why no action of a rule that matched is carried out. */
export interface ActionRefusal {
  readonly reason: string;
  readonly detail: string;
  /** The decision alone says so: an event for each refusal would make a story that is too long longer. */
  readonly untold?: boolean;
}

/** Whether the event was caused by the rule, or tells about its verdict. */
export const followsFromRule = ({ id }: Pick<CompiledRule, 'id'>, event: RecordedEvent): boolean =>
  followsFrom(id, event.metadata) ||
  (event.is('rule.evaluated') && event.data.decisions.some(({ ruleId }) => ruleId === id)) ||
  (event.is('rule.burst_ended') && event.data.ruleId === id);

/** Why a rule that matched does not act, whatever its throttle says. */
export function refusalOf(rule: CompiledRule, event: RecordedEvent): ActionRefusal | undefined {
  const hop = event.metadata.hop + 1;
  if (hop > MAX_HOPS)
    return { reason: 'too-many-hops', detail: `The event has ${hop} causes; at most ${MAX_HOPS} are allowed.` };
  if (!rule.compiled.allowRecursion && followsFromRule(rule, event))
    return { reason: FOLLOWS_FROM_ITSELF, detail: followsFromItself('rule') };
  return undefined;
}

/** Steps that a rule may take to be evaluated for an event, and again to fill in its actions: some 5 ms. */
export const BASIC_STEPS = 100_000;

/**
 * What it may cost to evaluate one rule for an event, keys included, or to fill in all its actions: one step more for each
 * byte of the event, so that a large one can be searched, and a rule that takes long for a small one soon ends.
 */
export const costOf = (event: PlatformEvent<unknown>): Cost =>
  new Cost(BASIC_STEPS, () => Math.min(MAX_STEPS - BASIC_STEPS, Buffer.byteLength(stringifyJson(event))));

/** The verdict of an enabled rule on any event, also one that it does not name. */
export function evaluateRule({ broken, compiled, filter }: CompiledRule, event: PlatformEvent<unknown>): RuleVerdict {
  if (broken !== undefined) return { outcome: 'errored', error: broken };
  if (!compiled.matchesType(event.type)) return notNamed('eventType', 'type', event.type, filter.eventType);
  if (!compiled.matchesSource(event.source)) return notNamed('eventSource', 'source', event.source, filter.eventSource);
  return evaluateConditions(compiled, event);
}

const notNamed = (key: string, field: string, actual: string, expected: string): RuleVerdict => ({
  outcome: 'not_matched',
  failed: { pointer: `/${key}`, condition: `${key} ${expected}`, field, actual, expected },
});

/** Pure; never throws: what goes wrong in one rule is that rule's verdict. */
export function evaluateConditions(
  { condition, throttle, burst }: CompiledDefinition,
  event: PlatformEvent<unknown>,
): RuleVerdict {
  try {
    const cost = costOf(event);
    const failed = condition.check(event, cost);
    if (failed) return { outcome: 'not_matched', failed };
    return {
      outcome: 'matched',
      ...(throttle && { throttleKey: keyOf(throttle.key?.render(event, cost)) }),
      ...(burst && { burstKey: keyOf(burst.key?.render(event, cost)) }),
    };
  } catch (error) {
    return { outcome: 'errored', error: errorInWords(error) };
  }
}

const keyOf = (value: unknown): string => (value === undefined || value === null ? '' : keyText(value));

/** Every condition of a rule with the value it saw, source and type first. @throws Rejected `expression.too_costly` */
export function trace(
  { eventSource, eventType }: RuleDefinition,
  rule: CompiledDefinition,
  event: PlatformEvent<unknown>,
): TraceEntry[] {
  const { source, type } = event;
  return [
    {
      pointer: '/eventSource',
      condition: `source is ${eventSource}`,
      holds: rule.matchesSource(source),
      field: 'source',
      actual: source,
      expected: eventSource,
    },
    {
      pointer: '/eventType',
      condition: `type is ${eventType}`,
      holds: rule.matchesType(type),
      field: 'type',
      actual: type,
      expected: eventType,
    },
    ...rule.condition.trace(event, costOf(event)),
  ];
}

/** For people. A bug in the evaluation of one rule must not stop the others, but must be seen. */
export const errorInWords = (error: unknown): string =>
  error instanceof Rejected
    ? error.message
    : `internal error: ${error instanceof Error ? error.message : String(error)}`;

/** Why the actions of a rule that matched cannot be filled in; `undefined` if they can. */
export function actionsProblem({ actions }: CompiledDefinition, event: PlatformEvent<unknown>): string | undefined {
  try {
    const cost = costOf(event);
    actions.forEach((action, index) => action.request(event, draftContext(event, index), cost));
    return undefined;
  } catch (error) {
    return errorInWords(error);
  }
}

/** On behalf of a rule that is not saved. */
export const draftContext = ({ id }: PlatformEvent<unknown>, index: number): RequestContext => ({
  requestedBy: { kind: 'rule', ruleId: 'draft', ruleVersion: 1, index },
  eventId: id,
});
