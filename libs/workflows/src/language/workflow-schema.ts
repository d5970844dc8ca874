import { type TObject, type TSchema, Type } from '@sinclair/typebox';

import { isObject } from '#libs/kernel/src/json.js';

import { emittable, engineSteps } from './engine-steps.js';
import { MAX_STEPS, shapes } from './grammar.js';
import type { StepLibrary } from './step-library.js';

type Schema = Record<string, unknown>;

/**
 * The YAML language as one JSON Schema (draft 7, which editors know best), from the same shapes that the parser checks:
 * an editor completes keys, steps and what each step takes, those of plug-ins too.
 */
export function workflowSchema(library: StepLibrary): object {
  const steps = Type.Unsafe<unknown>({
    type: 'array',
    items: { $ref: '#/definitions/step' },
    minItems: 1,
    maxItems: MAX_STEPS,
    description: 'Done in order.',
  }) as TSchema;
  const all = shapes(steps);
  const { uses, wait, forEach } = all;
  const kinds = [
    ...[...library.all(), ...Object.entries(engineSteps).map(([name, step]) => ({ name, ...step }))].map((step) =>
      usesSchema(uses, step.name, step.description, step.inputSchema as TObject),
    ),
    wait,
    withProperties(all.switch, {
      switch: { type: 'array', minItems: 1, maxItems: 50, items: { anyOf: [all.case, all.else] } },
    }),
    forEach,
  ];
  const manual = withProperties(all.manualTrigger, {
    inputs: { type: 'object', additionalProperties: all.input, description: 'What is asked for, by name.' },
  });
  return plainJson({
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Millrace workflow',
    ...withProperties(all.workflow, {
      triggers: { type: 'array', maxItems: 50, items: { anyOf: [all.eventTrigger, manual] } },
    }),
    definitions: { step: { anyOf: kinds } },
  });
}

function usesSchema(shape: TObject, name: string, description: string, input: TObject): Schema {
  const taken = name === 'emit' ? withEventTypes(input) : input;
  const schema = withProperties(shape, { uses: { const: name, description }, with: allowingTemplates(taken) });
  const needed = (input.required ?? []).length > 0 ? ['uses', 'with'] : ['uses'];
  return { ...schema, description, required: needed };
}

const withEventTypes = (input: TObject): TObject =>
  withProperties(input, { type: { enum: emittable(), description: 'A type of the catalogue.' } }) as unknown as TObject;

const withProperties = (shape: TObject, properties: Schema): Schema => ({
  ...shape,
  properties: { ...shape.properties, ...properties },
});

const TEMPLATE = { type: 'string', pattern: '\\$\\{\\{' };

/** A template may stand wherever a value may: what it gives is checked when it is known. */
function allowingTemplates(schema: TSchema | Schema): Schema {
  const given = schema as Schema;
  if (given['type'] === 'object' && isObject(given['properties'])) {
    const properties = Object.fromEntries(
      Object.entries(given['properties']).map(([key, value]) => [key, allowingTemplates(value as Schema)]),
    );
    return { ...given, properties };
  }
  const anyText = given['type'] === 'string' && given['pattern'] === undefined;
  return anyText || given['type'] === undefined
    ? given
    : { anyOf: [given, TEMPLATE], description: given['description'] };
}

/** Without what typebox keeps for itself. */
const plainJson = (schema: object): object => JSON.parse(JSON.stringify(schema)) as object;
