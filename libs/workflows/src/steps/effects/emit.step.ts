import { type TObject, Type } from '@sinclair/typebox';

import { catalogue, type EventType, isEventType, isSystemType } from '#libs/events/src/catalogue.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { dataProblems, type Schema } from '#libs/event-types/src/own-schema.js';
import { reservedName } from '#libs/event-types/src/own-type.js';
import type { Problem } from '#libs/kernel/src/errors.js';
import { isObject } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';
import type { OwnEventType } from '#libs/vocabulary/src/vocabulary.js';
import { NAMES } from '#libs/events/src/shapes/named-shapes.js';

import { isOpen, isTemplate } from '../../language/literals.js';
import { type SourceProblems, workflowProblems } from '../../language/source-problems.js';
import type { FindOwnType, NamedKind } from '../kind/step-kind.js';
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
        [NAMES]: 'ownEventType',
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
  noRetry: 'An event that does not fit its type never will.',
  pace: 'instant',
  appends: EMITTABLE,

  check({ type, data }, pointer, problems) {
    if (typeof type !== 'string' || isTemplate(type)) return;
    if (isEmittable(type)) checkData(catalogue[type].data, data, pointer, problems);
    else if (mayBeOwn(type) && problems.ownTypes === 'any') return;
    else if (typeof problems.ownTypes === 'object' && problems.ownTypes.has(type))
      checkOwnData(type, problems.ownTypes.get(type)!, data, pointer, problems);
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
        `There is no event type "${type}". ${suggestion(type, [...EMITTABLE, ...ownNames(problems)])}${ALLOWED}`,
      );
  },

  decide(step, decision) {
    const input = inputOf(step, decision.scope());
    // Which types there are is known to a worker.
    if (mayBeOwn(String(input['type'])) && !decision.canAttempt()) return 'open';
    const id = decision.idOf('run-emit');
    decision.append({ ...eventOf(input, decision.ownType), id });
    return decision.completed({ eventId: eventIdOf(id) });
  },
};

/** What is written down in `data` must fit already; what templates give is checked when it is known. */
function checkData(schema: TObject, data: unknown, pointer: string, problems: SourceProblems): void {
  if (data !== undefined && !isObject(data)) return;
  problems.fits(schema, withoutNulls(data ?? {}, schema), `${pointer}/data`, isOpen);
}

function checkOwnData(
  type: string,
  { schema, archived }: OwnEventType,
  data: unknown = {},
  pointer: string,
  problems: SourceProblems,
): void {
  if (archived)
    problems.add(
      `${pointer}/type`,
      'workflow.event_type_archived',
      `Must be an event type that is not archived. Restore "${type}": PUT /api/v1/event-types/${type}.`,
    );
  if (!isObject(data)) return;
  for (const problem of dataProblems(schema as Schema, data, `${pointer}/data`, isOpen))
    problems.add(problem.pointer, 'workflow.bad_value', problem.detail);
}

const ownNames = ({ ownTypes }: SourceProblems): readonly string[] =>
  typeof ownTypes === 'object' ? [...ownTypes.keys()] : [];

/** Whether an organisation may have a type of this name. That it has one is checked when the workflow is saved. */
const mayBeOwn = (type: string): boolean => OWN_TYPE.test(type) && reservedName(type) === undefined;

/** What an expression did not find is null; in events it is absent. */
const withoutNulls = (data: object, { required = [] }: TObject): object =>
  Object.fromEntries(Object.entries(data).filter(([key, value]) => value !== null || required.includes(key)));

/** @throws StepError if there is no such type, or `data` does not fit it. */
function eventOf(input: Record<string, unknown>, ownType: FindOwnType | undefined) {
  const type = String(input['type']);
  const subject = typeof input['subject'] === 'string' ? input['subject'] : undefined;
  if (mayBeOwn(type)) return { subject, ...ownEvent(type, input['data'] ?? {}, ownType) };
  if (!isEmittable(type)) throw failed('emit.type', `"${type}" cannot be emitted. ${ALLOWED}`);
  const schema: TObject = catalogue[type].data;
  const data = withoutNulls(input['data'] ?? {}, schema);
  return { type, subject, data: fitting(type, data, workflowProblems(schema, data, '/data')) };
}

function ownEvent(type: string, given: unknown, ownType: FindOwnType | undefined) {
  const own = ownType?.(type);
  if (ownType && own?.kind !== 'known')
    throw failed(
      'emit.type',
      own
        ? `The event type "${type}" is archived and takes no new events. Restore it: PUT /api/v1/event-types/${type}.`
        : `There is no event type "${type}". Create it: POST /api/v1/event-types.`,
    );
  const schema = (own?.content.schema ?? {}) as unknown as TObject;
  const data = isObject(given) ? withoutNulls(given, schema) : {};
  const problems = own ? dataProblems(own.content.schema, data) : [];
  return { type: type as EventType, data: fitting(type, data, problems), ...(own && { schemaVersion: own.version }) };
}

function fitting(type: string, data: object, [problem]: readonly Problem[]): object {
  if (problem) throw failed('emit.data', `The data does not fit ${type}: ${problem.pointer}: ${problem.detail}`);
  return data;
}

const failed = (code: string, message: string): StepError => new StepError({ code, message, retryable: false });
