import { type TObject, type TSchema, Type } from '@sinclair/typebox';

import { closed } from '#libs/events/src/shapes/fields.js';
import { withDefinitions } from '#libs/events/src/shapes/named-shapes.js';
import { CONDITIONS, ruleFields, RuleShape } from '#libs/events/src/shapes/rule-shape.js';
import type { ActionDefinition } from '#libs/plugin-sdk/src/define-action.js';

import { builtInActionShapes, pluginActionShape, pluginActionsShape } from '../actions/action-shapes.js';
import { MAX_CONDITIONS } from './condition-compiler.js';
import { operators } from './operators.js';

const expression = (description: string) => Type.String({ description, minLength: 1, maxLength: 4_096 });

/** A condition or a group of them. Saving checks it by compiling it, which knows what is wrong at each level. */
const RuleCondition = Type.Recursive(
  (condition) => {
    const conditions = Type.Array(condition, { maxItems: MAX_CONDITIONS });
    return Type.Unsafe<unknown>({
      ...CONDITIONS,
      oneOf: [
        closed({ all: conditions }),
        closed({ any: { ...conditions, minItems: 1 } }),
        closed({ not: condition }),
        closed({ expression: expression('JMESPath over the event. False are `false`, `null`, `""`, `[]` and `{}`.') }),
        closed({
          field: expression('JMESPath over the event: data.payload.severity.'),
          operator: Type.Unsafe<string>({ enum: operators }),
          value: Type.Optional(
            Type.Unknown({ description: 'The value to compare with; exists and not_exists take none.' }),
          ),
        }),
      ],
    });
  },
  { $id: 'RuleCondition' },
);

/** The shape of a rule with the grammar of its conditions, and with what each of its actions may be. */
export const ruleShapeWith = (actions: readonly TSchema[]): TObject => ({
  ...RuleShape,
  properties: {
    ...ruleFields,
    conditions: RuleCondition,
    actions: { ...ruleFields.actions, items: Type.Unsafe({ oneOf: actions }) },
  },
  not: { required: ['once', 'debounce'] },
});

/** What is sent to save a rule, for the API's description: which actions plug-ins add is known to the running server. */
export const RuleBody: TObject = {
  ...ruleShapeWith([...builtInActionShapes, pluginActionsShape]),
  $id: 'RuleBody',
};

/**
 * JSON Schema of a rule, for editors: what they complete and mark while somebody writes. Saving checks more than a schema
 * can say: that expressions parse, that patterns are linear, that the event type has the fields.
 * @param pluginActions what `type` of an action may be beside the built-in ones.
 */
export function ruleSchemaWith(pluginActions: Iterable<ActionDefinition>) {
  const shape = ruleShapeWith([...builtInActionShapes, ...[...pluginActions].map(pluginActionShape)]);
  const { document, definitions } = withDefinitions(shape, '#/$defs/');
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Millrace rule',
    ...document,
    $defs: definitions,
  };
}

/** Of rules that name built-in actions alone. */
export const ruleSchema = ruleSchemaWith([]);
