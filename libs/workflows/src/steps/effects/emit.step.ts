import { type TObject, type TSchema, Type } from '@sinclair/typebox';

import { catalogue, type EventType, isEventType, isSystemType } from '#libs/events/src/catalogue.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { dataProblems } from '#libs/event-types/src/own-schema.js';
import { reservedName } from '#libs/event-types/src/own-type.js';
import { isObject } from '#libs/kernel/src/json.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { isOpen, isTemplate } from '../../language/literals.js';
import { type SourceProblems, workflowProblems } from '../../language/source-problems.js';
import type { NamedKind } from '../kind/step-kind.js';
import { inputOf } from '../kind/step-input.js';

/** Types that stages record about their own work. They would believe a forged one: a `webhook.delivered` ends retries. */
const OWNED = [
  /^workflow\./,
  /^agent\./,
  /^issue\./,
  /^webhook\.(delivered|failed|disabled|test)$/,
  /^schedule\./,
  /^approval\./,
];

/** Ordinary types that tell about the world. */
const EMITTABLE: readonly EventType[] = (Object.keys(catalogue) as EventType[])
  .filter((type) => !isSystemType(type) && !OWNED.some((pattern) => pattern.test(type)))
  .sort();
const BUILT_IN = Object.keys(catalogue);
/** Families of names that only the platform uses. */
const RESERVED = [...new Set(BUILT_IN.map((type) => type.split('.')[0]!))].filter((family) =>
  reservedName(`${family}.x`),
);
const OWN_TYPE = new RegExp(`^(?!(?:${RESERVED.join('|')})\\.)[a-z][a-z0-9_]*(?:\\.[a-z][a-z0-9_]*)+$`);
const isEmittable = (type: string): type is EventType => (EMITTABLE as readonly string[]).includes(type);
const ALLOWED = `Types that may be emitted: ${EMITTABLE.join(', ')}.`;

/** Appends an event, in one append with the end of the step: both are there or neither. */
export const emitStep: NamedKind = {
  form: 'named',
  name: 'emit',
  description: 'Appends an event of a known type, for rules, webhooks and other workflows.',
  inputSchema: Type.Object(
    {
      type: Type.String({
        minLength: 1,
        description: 'A type of the catalogue, such as webhook.exhausted, or one of your own.',
        inEditors: { anyOf: [{ enum: EMITTABLE }, { pattern: OWN_TYPE.source, not: { enum: BUILT_IN } }] },
      }),
      subject: Type.Optional(Type.String({ minLength: 1, description: 'What it is about. Default: the run.' })),
      data: Type.Optional(
        Type.Record(Type.String(), Type.Unknown(), { description: 'Must fit the schema of the type.' }),
      ),
    },
    { additionalProperties: false },
  ),
  outputSchema: Type.Object({ eventId: Type.String() }),
  pace: 'instant',
  appends: EMITTABLE,

  check({ type, data }, pointer, problems) {
    if (typeof type !== 'string' || isTemplate(type)) return;
    if (isEmittable(type)) checkData(catalogue[type].data, data, pointer, problems);
    else if (mayBeOwn(type) && problems.ownTypes === 'any') return;
    else if (problems.ownTypes !== 'any' && problems.ownTypes?.has(type))
      checkOwnData(problems.ownTypes.get(type)!, data, `${pointer}/data`, problems);
    else if (mayBeOwn(type) && problems.ownTypes === undefined && suggestion(type, EMITTABLE) === '')
      problems.suspect(() =>
        problems.warn(
          `${pointer}/type`,
          'workflow.unlikely_event_type',
          `There is no built-in event type "${type}". Create it with POST /api/v1/event-types.`,
        ),
      );
    else if (isEventType(type))
      problems.add(
        `${pointer}/type`,
        'workflow.event_type_not_allowed',
        `Only the platform itself records "${type}". ${ALLOWED}`,
      );
    else
      problems.add(
        `${pointer}/type`,
        'workflow.unknown_event_type',
        `There is no event type "${type}". ${suggestion(type, EMITTABLE)}${ALLOWED}`,
      );
  },

  decide(step, decision) {
    const { type, subject, data } = eventOf(inputOf(step, decision.scope()));
    const id = decision.idOf('run-emit');
    decision.append({ type, data, id, subject });
    return decision.completed({ eventId: eventIdOf(id) });
  },
};

/** What is written down in `data` must fit already; what templates give is checked when it is known. */
function checkData(schema: TObject, data: unknown, pointer: string, problems: SourceProblems): void {
  if (data !== undefined && !isObject(data)) return;
  problems.fits(schema, withoutNulls(data ?? {}, schema), `${pointer}/data`, isOpen);
}

/** Data with templates is not known yet. */
function checkOwnData(schema: TSchema, data: unknown = {}, pointer: string, problems: SourceProblems): void {
  if (isOpen(data) || stringifyJson(data).includes('${{')) return;
  for (const problem of dataProblems(schema, data, pointer))
    problems.add(problem.pointer, 'workflow.bad_value', problem.detail);
}

/** Whether an organisation may have a type of this name. That it has one is checked when the workflow is saved. */
const mayBeOwn = (type: string): boolean => OWN_TYPE.test(type) && reservedName(type) === undefined;

/** What an expression did not find is null; in events it is absent. */
const withoutNulls = (data: object, { required = [] }: TObject): object =>
  Object.fromEntries(Object.entries(data).filter(([key, value]) => value !== null || required.includes(key)));

/** @throws StepError if there is no such type, or `data` does not fit it. */
function eventOf(input: Record<string, unknown>) {
  const type = String(input['type']);
  if (mayBeOwn(type)) {
    const given = input['data'] ?? {};
    const data = isObject(given) ? Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null)) : {};
    return {
      type: type as EventType,
      data,
      subject: typeof input['subject'] === 'string' ? input['subject'] : undefined,
    };
  }
  if (!isEmittable(type))
    throw new StepError({ code: 'emit.type', message: `"${type}" cannot be emitted. ${ALLOWED}`, retryable: false });
  const schema: TObject = catalogue[type].data;
  const data = withoutNulls(input['data'] ?? {}, schema);
  const [problem] = workflowProblems(schema, data, '/data');
  if (problem)
    throw new StepError({
      code: 'emit.data',
      message: `The data does not fit ${type}: ${problem.pointer}: ${problem.detail}`,
      retryable: false,
    });
  return { type, data, subject: typeof input['subject'] === 'string' ? input['subject'] : undefined };
}
