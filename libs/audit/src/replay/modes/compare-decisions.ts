import type { Consequence, Requested } from '#libs/event-index/src/worlds.js';
import type { ReplayDifference } from '#libs/events/src/shapes/audit/replay-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { excerpt } from '#libs/kernel/src/text/excerpt.js';
import { isObject, pointerToken } from '#libs/kernel/src/json.js';

/** Most values that are named as different. */
const SHOWN = 20;
/** Who asks, and about which event: always another, or always the same. */
const SURROUNDINGS: ReadonlySet<string> = new Set(['requestedBy', 'eventId', 'event']);
/** Controls that depend on earlier events: whether they held a match back says nothing about the rule. */
const FLOW = /^\/(throttle|once|debounce)\b|^(throttled|concurrency|budget)$/;
/** The same for a whole story. */
const EXHAUSTED = 'correlation-exhausted';

/** How what would be decided about an event differs from what was. Pure. */
export function compareDecisions(
  now: readonly Consequence[],
  then: readonly Consequence[],
): readonly ReplayDifference[] {
  const before = new Map(then.map((one) => [one.by, one]));
  const after = new Map(now.map((one) => [one.by, one]));
  return [...new Map([...before, ...after]).values()].flatMap(({ kind, by, name }) => {
    const found = differenceOf(after.get(by), before.get(by));
    return found ? [{ kind, by, name, ...found }] : [];
  });
}

type Found = Pick<ReplayDifference, 'difference' | 'inputs'>;

function differenceOf(now: Consequence | undefined, then: Consequence | undefined): Found | undefined {
  if (!now || !then) {
    const one = now ?? then!;
    if (isAct(one)) return { difference: now ? 'acts_now' : 'acts_no_longer' };
    return { difference: 'other_outcome' };
  }
  if (now.outcome !== then.outcome) {
    const held = isAct(now) ? then : isAct(then) ? now : undefined;
    const isByFlow = held?.reason !== undefined && held.outcome !== 'errored' && FLOW.test(held.reason);
    return isByFlow ? undefined : { difference: 'other_outcome' };
  }
  return now.kind === 'rule' && isAct(now) ? differentRequests(now.requests, then.requests) : undefined;
}

const isAct = ({ outcome }: Consequence): boolean => outcome === 'matched' || outcome === 'started';

function differentRequests(now: readonly Requested[], then: readonly Requested[]): Found | undefined {
  if (now.length !== then.length) return { difference: 'other_actions' };
  const inputs: NonNullable<ReplayDifference['inputs']> = [];
  for (const [index, one] of now.entries()) {
    const other = then[index]!;
    if (other.refused === EXHAUSTED) continue;
    if (one.refused !== other.refused) return { difference: 'other_actions' };
    if (one.refused !== undefined) continue;
    if (one.type !== other.type) return { difference: 'other_actions' };
    collect(withoutSurroundings(one.data), withoutSurroundings(other.data), `/${index}/data`, inputs);
  }
  return inputs.length === 0 ? undefined : { difference: 'other_inputs', inputs: inputs.slice(0, SHOWN) };
}

const withoutSurroundings = (data: object): object =>
  Object.fromEntries(Object.entries(data).filter(([key]) => !SURROUNDINGS.has(key)));

/** Parts of objects by their keys; everything else as a whole. What was erased is unknown, and differs from nothing. */
function collect(now: unknown, then: unknown, pointer: string, found: NonNullable<ReplayDifference['inputs']>): void {
  if (stringifyJson(now) === stringifyJson(then) || isErased(now) || isErased(then)) return;
  if (isObject(now) && isObject(then)) {
    for (const key of new Set([...Object.keys(now), ...Object.keys(then)]))
      collect(now[key], then[key], `${pointer}/${pointerToken(key)}`, found);
    return;
  }
  found.push({ pointer, now: excerpt(now ?? null), then: excerpt(then ?? null) });
}

const isErased = (value: unknown): boolean => (stringifyJson(value) ?? '').includes('"$erased":true');
