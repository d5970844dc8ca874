import { type TObject, Type } from '@sinclair/typebox';

import { closed } from '#libs/events/src/shapes/fields.js';
import { isObject } from '#libs/kernel/src/json.js';
import type { ActionDefinition } from '#libs/plugin-sdk/src/define-action.js';

import type { ActionKind } from './action-kind.js';
import { actionTypes, builtInActions } from './built-in.js';

/** What each built-in action looks like in a rule: for editors, and for the API's description. */
export const builtInActionShapes: readonly TObject[] = Object.entries<ActionKind>(builtInActions).map(
  ([type, { description, with: parts }]) =>
    closed({
      type: Type.Literal(type, { description }),
      with: (parts.required ?? []).length > 0 ? parts : Type.Optional(parts),
    }),
);

/** The keys of `with` alone: their values may be templates, and what those give is not known yet. */
export function pluginActionShape({ name, description, inputSchema }: ActionDefinition): TObject {
  const { properties, required, additionalProperties }: Readonly<Record<string, unknown>> = inputSchema;
  const needed = Array.isArray(required) ? (required as readonly unknown[]) : [];
  const parts = Type.Unsafe<object>({
    type: 'object',
    required: needed,
    properties: isObject(properties)
      ? Object.fromEntries(Object.entries(properties).map(([key, schema]) => [key, described(schema)]))
      : {},
    ...(additionalProperties === false && { additionalProperties }),
  });
  return closed(
    { type: Type.Literal(name, { description }), with: needed.length > 0 ? parts : Type.Optional(parts) },
    { description },
  );
}

/** An action of any plug-in. */
export const pluginActionsShape: TObject = closed({
  type: Type.String({ not: { enum: actionTypes }, description: 'An action that a plug-in adds.' }),
  with: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
});

const described = (schema: unknown): object =>
  isObject(schema) && typeof schema['description'] === 'string' ? { description: schema['description'] } : {};
