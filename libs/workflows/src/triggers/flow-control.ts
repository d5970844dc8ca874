import { type Static, type TSchema, Type } from '@sinclair/typebox';

import type { Batch, BurstControl, Throttle } from '#libs/flow/src/controls.js';
import type { CompiledTemplate } from '#libs/expressions/src/template.js';
import { keyText } from '#libs/kernel/src/json.js';

import type { Expressions } from '../language/expressions.js';
import { closed, described, Duration, Template, whole } from '../language/fields.js';
import { durationOf } from '../language/literals.js';
import type { Visible } from '../language/scope-schema.js';
import type { SourceProblems } from '../language/source-problems.js';

/** Which of the events that fit a trigger start a run. `key` tells those apart that are counted separately. */
export interface TriggerFlow {
  readonly throttle: Throttle | undefined;
  readonly burst: BurstControl | undefined;
  readonly batch: Batch | undefined;
  readonly throttleKey: CompiledTemplate | undefined;
  /** Of `debounce` or `batch`. */
  readonly burstKey: CompiledTemplate | undefined;
}

/** Most events of one run: all of them are read when an expression asks for one. */
export const MAX_BATCH = 100;

const key = Type.Optional(
  described(Template, 'Over the event: events with the same value belong together. Default: all.'),
);
const ThrottleShape = closed(
  {
    key,
    limit: whole(1, 1_000_000, 'Runs.'),
    per: described(Duration, 'The period, which begins with its first run.'),
  },
  'At most `limit` runs start in `per`, for each value of `key`. Other events are skipped.',
);
const DebounceShape = closed(
  {
    key,
    quiet: described(Duration, 'The burst ends after this time without an event.'),
    maxWait: Type.Optional(described(Duration, 'The burst ends at most this long after its first event.')),
  },
  'Of events with the same key that follow each other within `quiet`, only the last starts a run.',
);
const BatchShape = closed(
  {
    key,
    size: whole(2, MAX_BATCH, 'The run starts with this many events.'),
    timeout: described(Duration, 'Or so long after the first of them, with those that came.'),
  },
  'One run for many events, which are in scope as `events`; `event` is the last one. Not with `debounce` or `throttle`.',
);

const optional = <S extends TSchema>(shape: S) => Type.Optional(Type.Unsafe<Static<S>>(shape));
export const flowFields = {
  batch: optional(BatchShape),
  debounce: optional(DebounceShape),
  throttle: optional(ThrottleShape),
};

interface Given {
  readonly batch?: Static<typeof BatchShape>;
  readonly debounce?: Static<typeof DebounceShape>;
  readonly throttle?: Static<typeof ThrottleShape>;
}

/** @param given fits the shape. */
export function readFlow(
  { batch, debounce, throttle }: Given,
  pointer: string,
  visible: Visible,
  expressions: Expressions,
  problems: SourceProblems,
): TriggerFlow | undefined {
  if (!batch && !debounce && !throttle) return undefined;
  const bad = (at: string, detail: string): void =>
    problems.add(`${pointer}/${at}`, 'workflow.bad_value', detail, true);
  if (batch && (debounce || throttle))
    bad(
      'batch',
      '"batch" must not be used together with "debounce" or "throttle": it decides itself when a run starts.',
    );
  const keyOf = (name: keyof Given, source: string | undefined): CompiledTemplate | undefined =>
    source === undefined ? undefined : expressions.template(source, `${pointer}/${name}/key`, visible);
  const quietMs = durationOf(debounce?.quiet) ?? 0;
  const maxWaitMs = durationOf(debounce?.maxWait) ?? Infinity;
  if (maxWaitMs < quietMs) bad('debounce/maxWait', `Must not be shorter than "quiet", which is ${debounce!.quiet}.`);
  return {
    throttle: throttle && { limit: throttle.limit, per: throttle.per, perMs: durationOf(throttle.per) ?? 0 },
    burst: debounce && { kind: 'debounce', quiet: debounce.quiet, quietMs, maxWaitMs },
    batch: batch && { size: batch.size, timeout: batch.timeout, timeoutMs: durationOf(batch.timeout) ?? 0 },
    throttleKey: keyOf('throttle', throttle?.key),
    burstKey: keyOf('debounce', debounce?.key) ?? keyOf('batch', batch?.key),
  };
}

/** The keys of an event, filled in. @throws Rejected `expression.too_costly` */
export function keysOfEvent(
  { throttle, burst, batch, throttleKey, burstKey }: TriggerFlow,
  scope: object,
): { readonly throttleKey?: string; readonly burstKey?: string } {
  return {
    ...(throttle && { throttleKey: textOf(throttleKey?.render(scope)) }),
    ...((burst ?? batch) && { burstKey: textOf(burstKey?.render(scope)) }),
  };
}

const textOf = (value: unknown): string => (value === undefined || value === null ? '' : keyText(value));
