import { isObject } from '#libs/kernel/src/json.js';

import { NAMES } from '#libs/events/src/shapes/named-shapes.js';

import { StepList, UsesShape, WorkflowShape } from './fields.js';
import type { NamedSyntax, Vocabulary } from './vocabulary.js';

type Schema = Readonly<Record<string, unknown>>;

/**
 * The YAML language as one JSON Schema (draft 7, which editors know best), from the same shapes that the readers check: an
 * editor completes keys, steps and the input of each step, those of plug-ins too.
 */
export function workflowSchema({ keywords, named, triggers }: Vocabulary): object {
  const { inEditors: _, ...steps } = StepList as unknown as Schema;
  const definitions = {
    steps: { ...steps, items: { $ref: '#/definitions/step' } },
    step: { anyOf: [...[...named.values()].map(usesSchema), ...keywords.map(({ shape }) => shape)] },
    trigger: { anyOf: triggers.map(({ shape }) => shape) },
  };
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Millrace workflow',
    ...(forEditors(WorkflowShape) as object),
    required: ['name'],
    anyOf: [{ required: ['steps'] }, { required: ['nodes'] }],
    definitions: mapValues(definitions, forEditors),
  };
}

function usesSchema({ definition: { name, description, inputSchema }, noRetry }: NamedSyntax): Schema {
  const input = inputSchema as unknown as Schema;
  const isInputRequired = ((input['required'] as readonly string[] | undefined) ?? []).length > 0;
  return {
    ...UsesShape,
    description,
    properties: {
      ...UsesShape.properties,
      uses: { const: name, description },
      with: allowingTemplates(input),
      ...(noRetry !== undefined && { retry: uselessRetry(noRetry) }),
    },
    required: isInputRequired ? ['uses', 'with'] : ['uses'],
  };
}

/** It is accepted, as on every step; editors neither suggest it nor leave it unmarked. */
const uselessRetry = (why: string): Schema => ({
  ...UsesShape.properties.retry,
  description: `No effect. ${why}`,
  deprecationMessage: `"retry" has no effect. ${why}`,
  doNotSuggest: true,
});

const TEMPLATE = { type: 'string', pattern: '\\$\\{\\{' };

/** A template may stand wherever a value may: its value is checked when it is known. */
function allowingTemplates(schema: Schema): Schema {
  if (schema['type'] === 'object' && isObject(schema['properties'])) {
    const properties = Object.entries(schema['properties']).map(([key, value]) => [
      key,
      allowingTemplates(value as Schema),
    ]);
    return { ...schema, properties: Object.fromEntries(properties) as Schema };
  }
  const isAnyString = schema['type'] === 'string' && schema['pattern'] === undefined;
  const isOwn = schema['inEditors'] !== undefined;
  return isOwn || isAnyString || schema['type'] === undefined
    ? schema
    : { anyOf: [schema, TEMPLATE], description: schema['description'] };
}

/** Keywords whose value maps names of anybody's choice to schemas, and keywords whose value is plain data. */
const MAPS = ['properties', 'patternProperties', 'definitions'];
const DATA = ['const', 'enum', 'default', 'examples'];

/** A schema as plain JSON, with what editors check in place of what the readers check level by level. */
export function forEditors(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(forEditors);
  if (!isObject(schema)) return schema;
  const { inEditors, expected: _, refersTo, ...rest } = schema;
  if (inEditors !== undefined) {
    const { description, [NAMES]: names } = rest;
    return {
      ...(forEditors(inEditors) as object),
      ...(description === undefined ? {} : { description }),
      ...(names === undefined ? {} : { [NAMES]: names }),
    };
  }
  return mapValues({ ...rest, ...(refersTo !== undefined && { [NAMES]: refersTo }) }, (value, key) => {
    if (DATA.includes(key)) return value;
    return MAPS.includes(key) && isObject(value) ? mapValues(value, forEditors) : forEditors(value);
  });
}

const mapValues = (object: Schema, change: (value: unknown, key: string) => unknown): Schema =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value, key)]));
