import { Type } from '@sinclair/typebox';

import type { EventType } from '#libs/events/src/catalogue.js';
import { eventSchema } from '#libs/expressions/src/event-schema.js';
import type { JsonSchema } from '#libs/expressions/src/schema.js';

import type { Trigger } from './definition.js';
import { declaredInputs, type InputSpec } from './inputs.js';

/** What an expression sees where it stands in a workflow. */
export interface Visible {
  /** Names, each with what is known of its value. */
  readonly roots: Readonly<Record<string, JsonSchema>>;
  /** Ids of the steps before it. */
  readonly steps: readonly string[];
  /** Names of the declared inputs; `undefined` where none are declared. */
  readonly inputs: readonly string[] | undefined;
  /** Names that a step of the workflow sets. */
  readonly vars?: readonly string[];
}

/** What may be anything. */
const ANYTHING: JsonSchema = {};

const text = Type.String();
export const failureSchema = Type.Object({ type: text, code: text, message: text, path: text }) as JsonSchema;
const runProperties = { id: text, workflow: text, version: text, startedAt: text };
const runSchema = Type.Object(runProperties) as JsonSchema;
const settingsSchema = Type.Object({ retrySchedule: Type.Array(text) }) as JsonSchema;

/** What the first step of a workflow sees. */
export function visibleAtFirst(triggers: readonly Trigger[], vars: readonly string[] = []): Visible {
  const types = new Set(triggers.flatMap((trigger) => trigger.types ?? []));
  const inputs = declaredInputs({ triggers });
  const own = triggers.flatMap((trigger) => trigger.ownSchemas ?? []);
  const event = types.size + own.length === 0 ? ANYTHING : eventSchema([...types], own);
  return {
    roots: {
      event,
      ...(triggers.some(({ isBatch }) => isBatch) && { events: { type: 'array', items: event } }),
      inputs: inputs === undefined ? ANYTHING : objectOf(mapValues(inputs, inputSchema)),
      steps: ANYTHING,
      vars: ANYTHING,
      run: runSchema,
      settings: settingsSchema,
    },
    steps: [],
    inputs: inputs && Object.keys(inputs),
    vars,
  };
}

/** What the steps of `finally` see. */
export const visibleInFinally = (visible: Visible): Visible => ({
  ...visible,
  roots: {
    ...visible.roots,
    error: failureSchema,
    run: Type.Object({ ...runProperties, status: text }),
  },
});

/** What `retry.when` sees: the attempt that failed. */
export const visibleToRetry = (visible: Visible): Visible => ({
  ...visible,
  roots: { ...visible.roots, error: failureSchema, output: ANYTHING, attempt: Type.Integer() },
});

/** What `when` of a trigger sees: the event's own fields at the top, and the event. */
export function visibleToTrigger(types: readonly EventType[], own: readonly JsonSchema[] = []): Visible {
  const event = eventSchema(types, own);
  return { roots: { ...event.properties, event }, steps: [], inputs: [] };
}

/** What `when` of a wait sees: the fields of the event that may come at the top, and the run beside them. */
export function visibleToWait(
  types: readonly EventType[],
  own: readonly JsonSchema[],
  { roots, ...rest }: Visible,
): Visible {
  return { roots: { ...eventSchema(types, own).properties, ...roots }, ...rest };
}

/** What `with` of a step sees that sends it out. */
export const visibleToEffect = (visible: Visible): Visible => ({
  ...visible,
  roots: { ...visible.roots, secrets: { type: 'object', additionalProperties: { type: 'string' } } },
});

/** Everything that an expression sees, as one schema. */
export function scopeSchema(
  { roots, steps }: Visible,
  outputs: ReadonlyMap<string, JsonSchema | undefined>,
): JsonSchema {
  const stepSchema = (id: string): JsonSchema =>
    objectOf({ status: text, output: outputs.get(id) ?? ANYTHING, error: failureSchema });
  const all = Object.fromEntries(steps.map((id) => [id, stepSchema(id)]));
  return objectOf({ ...roots, ...(Object.hasOwn(roots, 'steps') && { steps: objectOf(all) }) });
}

const objectOf = (properties: Readonly<Record<string, JsonSchema>>): JsonSchema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
});

/** A select is known to be one value; nothing is known about what a list or an object holds. */
const inputSchema = ({ type }: InputSpec): JsonSchema => {
  if (type === 'select') return { type: ['string', 'number'] };
  return { type: type === 'list' ? 'array' : type };
};

const mapValues = <T, U>(object: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
