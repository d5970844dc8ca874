import { catalogue, type EventType } from '#libs/events/src/catalogue.js';
import { lint } from '#libs/expressions/src/lint.js';
import type { JsonSchema } from '#libs/expressions/src/schema.js';
import { suggestion } from '#libs/kernel/src/nearest.js';

import type { CompiledDefinition, RuleDefinition } from './definition.js';

/** Something that is allowed and probably not meant. `column` counts from 1, within the expression. */
export interface RuleWarning {
  readonly pointer: string;
  readonly code: string;
  readonly message: string;
  readonly column?: number;
}

/** What is suspicious in a rule that is valid: fields that its event types do not have, above all. */
export function warningsOf(definition: RuleDefinition, compiled: CompiledDefinition): readonly RuleWarning[] {
  const types = (Object.keys(catalogue) as EventType[]).filter(compiled.matchesType);
  const schema = types.length === 0 ? undefined : eventSchema(types);
  return [
    ...(types.length === 0 ? [unknownType(definition.eventType)] : []),
    ...(definition.actions.length === 0
      ? [
          {
            pointer: '/actions',
            code: 'rule.no_actions',
            message: 'The rule decides, but does nothing: it has no actions.',
          },
        ]
      : []),
    ...compiled.expressions.flatMap(({ pointer, source }) =>
      lint(source, schema === undefined ? {} : { schema }).map((warning) => ({ pointer, ...warning })),
    ),
  ];
}

function unknownType(eventType: string): RuleWarning {
  return {
    pointer: '/eventType',
    code: 'rule.unknown_event_type',
    message: `No built-in event type matches "${eventType}". ${suggestion(eventType, Object.keys(catalogue))}It will match events of that type if they are published.`,
  };
}

const TEXT = { type: 'string' };

/** The schema of an event as expressions see it. */
function eventSchema(types: readonly EventType[]): JsonSchema {
  return {
    type: 'object',
    properties: {
      id: TEXT,
      type: TEXT,
      source: TEXT,
      subject: TEXT,
      orgId: TEXT,
      timestamp: TEXT,
      data: { anyOf: types.map((type) => catalogue[type].data as JsonSchema) },
    },
  };
}
