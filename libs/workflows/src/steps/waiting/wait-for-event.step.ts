import { Type } from '@sinclair/typebox';

import { typeMatcher } from '#libs/events/src/patterns.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import type { CompiledExpression } from '#libs/expressions/src/compile.js';
import { leadingEqualities, valueAt } from '#libs/expressions/src/path.js';
import { setOwn } from '#libs/expressions/src/values.js';
import type { CompiledTemplate } from '#libs/expressions/src/template.js';
import { isObject } from '#libs/kernel/src/json.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { NAMES } from '#libs/events/src/shapes/named-shapes.js';

import { checkEventPatterns, eventTypes, globs, ownSchemas } from '../../language/event-patterns.js';
import { closed, Condition, described, Globs, stepShape, Template } from '../../language/fields.js';
import { type Reference, references } from '../../language/references.js';
import { visibleToWait } from '../../language/scope-schema.js';
import type { RawObject, Reading } from '../../language/vocabulary.js';
import { AWAITING } from '../kind/awaiting.js';
import { failure } from '../kind/step-failure.js';
import { MAX_VALUE_BYTES, plain } from '../kind/step-input.js';
import type { KeywordKind, Progress, StepDecision } from '../kind/step-kind.js';
import { lengthOf, readLimit, readOnTimeout } from './time-limit.js';

type Received = DataOf<'run.event_received'>;

interface Choice {
  readonly event: readonly string[];
  readonly when: CompiledExpression | undefined;
  /** What `when` reads of the run. */
  readonly reads: readonly Reference[];
}

interface WaitForEventFields {
  /** Whether one event is enough, or each choice needs one of its own. */
  readonly needs: 'one' | 'any' | 'all';
  readonly choices: readonly Choice[];
  readonly since: 'run' | 'step';
  readonly limit: CompiledTemplate | undefined;
  readonly onTimeout: 'fail' | 'continue';
}

/** What has come so far, by the wait that it answers. */
interface Noted {
  readonly received: Readonly<Record<string, Received>>;
}

const awaited = {
  event: { ...described(Globs, 'A type, a glob (`pr.*`) or a list.'), [NAMES]: 'eventType' },
  when: Type.Optional(described(Condition, 'A JMESPath condition over the event, with the run beside it.')),
};
const limits = {
  timeout: Type.Optional(described(Template, 'A duration, such as 1d. Without it the wait has no end.')),
  onTimeout: Type.Optional(Type.Union([Type.Literal('fail'), Type.Literal('continue')])),
  since: Type.Optional(Type.Union([Type.Literal('run'), Type.Literal('step')])),
};
const Alternatives = Type.Array(closed(awaited, 'An event.'), { minItems: 2, maxItems: 20 });
const One = closed({ ...awaited, ...limits }, 'One event.');
const Any = closed({ any: Alternatives, ...limits }, 'The first of several events.');
const All = closed({ all: Alternatives, ...limits }, 'An event for each.');

/** Waits for an event: a request that the event itself answers. */
export const waitForEventStep: KeywordKind<WaitForEventFields, Noted> = {
  form: 'keyword',
  name: 'waitForEvent',
  shape: stepShape(
    {
      waitForEvent: Type.Unknown({
        inEditors: Type.Union([One, Any, All]),
        description:
          '`event` and `when`, or `any` or `all` with a list of these; `timeout`, `onTimeout` (`fail` or `continue`), `since` (`run` or `step`).',
      }),
    },
    'Waits for an event. One that came since the run started counts too; each event answers one wait of a run.',
  ),
  outputSchema: Type.Object({
    timedOut: Type.Boolean(),
    choice: Type.Optional(Type.Integer()),
    id: Type.Optional(Type.String()),
    type: Type.Optional(Type.String()),
    source: Type.Optional(Type.String()),
    subject: Type.Optional(Type.String()),
    timestamp: Type.Optional(Type.String()),
    data: Type.Optional(Type.Unknown()),
    events: Type.Optional(Type.Array(Type.Unknown())),
  }),
  pace: 'lasting',
  outcomes: ['run.wait_answered'],
  events: {
    ...(AWAITING as object),
    'run.wait_begun': {
      show(shown, { choices, until }) {
        const types = [...new Set(choices.flatMap(({ event }) => event))].join(' or ');
        const before = shown.waiting?.startsWith('waiting for ') ? `${shown.waiting.split(' until ', 1)[0]} and ` : '';
        const end = until === undefined ? '' : ` until ${until}`;
        Object.assign(shown, { status: 'waiting', waiting: `${before || 'waiting for '}${types}${end}` });
      },
    },
    'run.event_received': {
      evolve: (step, data) => ({
        ...step,
        noted: { received: { ...step.noted?.received, [data.requestId]: data } },
      }),
    },
  },

  read({ waitForEvent: value }, reading) {
    const { pointer, problems } = reading;
    const at = `${pointer}/waitForEvent`;
    const fields = isObject(value) ? value : {};
    const needs = Object.hasOwn(fields, 'any') ? 'any' : Object.hasOwn(fields, 'all') ? 'all' : 'one';
    problems.fits({ one: One, any: Any, all: All }[needs], value, at);
    const { [needs]: list, timeout, since } = fields;
    const given: readonly unknown[] = needs === 'one' ? [fields] : Array.isArray(list) ? list : [];
    return {
      needs,
      choices: given.map((one, index) =>
        readChoice(isObject(one) ? one : {}, needs === 'one' ? at : `${at}/${needs}/${index}`, reading),
      ),
      since: since === 'step' ? 'step' : 'run',
      limit: readLimit(timeout, `${at}/timeout`, reading),
      onTimeout: readOnTimeout(fields, at, reading),
    };
  },

  decide(step, decision) {
    if (decision.open?.awaiting.length === 0 || decision.open === undefined) begin(step, decision);
    const requests = decision.open!.awaiting;
    for (const requestId of requests) {
      if (receivedBy(requestId, decision)) continue;
      const outcome = decision.outcomeOf(requestId);
      if (outcome?.type !== 'run.wait_answered') continue;
      const { choice, event } = outcome.data;
      decision.record('run.event_received', { requestId, choice, event });
    }
    const received = requests.map((requestId) => receivedBy(requestId, decision));
    if (received.every((one) => one !== undefined))
      return decision.completed({ timedOut: false, ...outputOf(step, received) });
    if (!decision.open!.timer || !decision.isDue('wait')) return 'open';
    return timedOut(step, decision, received);
  },
};

function readChoice(raw: RawObject, pointer: string, { visible, expressions, problems }: Reading): Choice {
  const patterns = (globs(raw['event']) ?? []).filter((pattern) => typeof pattern === 'string');
  checkEventPatterns(patterns.length > 0 ? raw['event'] : undefined, `${pointer}/event`, problems);
  const types = patterns.length === 0 ? [] : eventTypes.filter(typeMatcher(patterns));
  const own = patterns.length === 0 ? [] : ownSchemas(patterns, typeMatcher(patterns), problems);
  const scope = visibleToWait(types, own, visible);
  const { when: condition } = raw;
  const when = condition === undefined ? undefined : expressions.condition(condition, `${pointer}/when`, scope);
  if (!when) return { event: patterns, when, reads: [] };
  const reads = references(when.source).filter(([root]) => root !== undefined && Object.hasOwn(visible.roots, root));
  const ofRun = (path: readonly (string | number)[]) => Object.hasOwn(visible.roots, String(path[0])) || undefined;
  problems.suspect(() => {
    if (leadingEqualities(when.source, ofRun).length > 0) return;
    problems.warn(
      `${pointer}/when`,
      'workflow.slow_wait',
      'Every event of the type is tested for every waiting run. Begin with an equality, such as data.issue.number == event.data.issue.number && …',
    );
  });
  return { event: patterns, when, reads };
}

/** The timer and the waits are one append: either all of it is there, or nothing. */
function begin(step: WaitForEventFields, decision: StepDecision<Noted>): void {
  const { choices, needs, since, limit } = step;
  const scope = decision.scope();
  if (limit) decision.setTimer('wait', lengthOf(limit, scope));
  const until = decision.open?.timer?.at;
  const lists = needs === 'all' ? choices.map((choice) => [choice]) : [choices];
  for (const [index, list] of lists.entries()) {
    // With the time: a step that is begun again waits for another event.
    const requestId = uuid5('run-wait', decision.runId, decision.path, String(index), decision.now.toISOString());
    const { path, runId } = decision;
    const data: DataOf<'run.wait_begun'> = {
      runId,
      path,
      stepId: path.slice(path.lastIndexOf('.') + 1),
      requestId,
      choices: list.map(({ event, when }) => ({ event: [...event], ...(when && { when: when.source }) })),
      scope: plain(readOf(scope, list), 'wait.scope_too_large') as Record<string, unknown>,
      since,
      ...(until !== undefined && { until }),
      maxBytes: Math.floor((MAX_VALUE_BYTES * 0.75) / lists.length),
    };
    decision.append({ type: 'run.wait_begun', data, id: requestId });
    decision.record('run.step_awaiting', { requestId, input: { for: data.choices, ...(until && { until }) } });
  }
}

/** The part of the scope that the conditions read. */
function readOf(scope: Record<string, unknown>, choices: readonly Choice[]): Record<string, unknown> {
  const part: Record<string, unknown> = {};
  const whole = new Set<string>();
  // The outer path of two has the inner one in it.
  for (const path of choices.flatMap(({ reads }) => reads).toSorted((a, b) => a.length - b.length)) {
    const prefixes = path.map((_, index) => path.slice(0, index + 1).join('\0'));
    if (prefixes.some((prefix) => whole.has(prefix))) continue;
    whole.add(prefixes.at(-1)!);
    let at = part;
    for (const name of path.slice(0, -1)) {
      if (!Object.hasOwn(at, name)) setOwn(at, name, {});
      at = at[name] as Record<string, unknown>;
    }
    setOwn(at, path.at(-1)!, valueAt(path, scope));
  }
  return part;
}

const receivedBy = (requestId: string, decision: StepDecision<Noted>): Received | undefined =>
  decision.open?.noted?.received[requestId];

function outputOf({ needs }: WaitForEventFields, received: readonly (Received | undefined)[]): object {
  if (needs === 'all') return { events: received.map((one) => one?.event ?? null) };
  const [one] = received;
  return one ? { ...(needs === 'any' && { choice: one.choice }), ...one.event } : {};
}

function timedOut(
  step: WaitForEventFields,
  decision: StepDecision<Noted>,
  received: readonly (Received | undefined)[],
): Progress {
  const output = { timedOut: true, ...outputOf(step, received) };
  if (step.onTimeout === 'continue') return decision.completed(output);
  const types = step.choices
    .filter((_, index) => step.needs !== 'all' || !received[index])
    .flatMap(({ event }) => event);
  const message = `No event came before ${decision.open!.timer!.at}. The step waited for ${[...new Set(types)].join(', ')}.`;
  return decision.failed(failure('wait.timeout', message, decision.path), output);
}
