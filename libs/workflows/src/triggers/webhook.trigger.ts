import { Type } from '@sinclair/typebox';

import type { WebhookUse } from '#libs/events/src/shapes/workflow-shape.js';
import type { CompiledExpression } from '#libs/expressions/src/compile.js';
import { isEventType } from '#libs/events/src/catalogue.js';
import { INBOUND_TYPES, isInboundType } from '#libs/plugin-sdk/src/inbound-types.js';
import { NAMES } from '#libs/events/src/shapes/named-shapes.js';

import type { Trigger } from '../language/definition.js';
import { Expressions } from '../language/expressions.js';
import { closed, Condition, described } from '../language/fields.js';
import { visibleToTrigger } from '../language/scope-schema.js';
import { failedPart } from './failed-condition.js';
import type { TriggerKind } from './trigger-kind.js';

/** Starts a run for each request to an integration. */
export interface WebhookTrigger extends Trigger {
  /** Its name or id; absent: the integration that belongs to the workflow. */
  readonly integration: string | undefined;
  /** `wait`: the answer to the request waits for the run. */
  readonly respond: 'accepted' | 'wait';
  readonly when: CompiledExpression | undefined;
}

export const webhookTrigger: TriggerKind<WebhookTrigger> = {
  name: 'webhook',
  shape: closed(
    {
      type: Type.Literal('webhook'),
      integration: Type.Optional(
        Type.String({
          minLength: 1,
          description:
            'The name or id of an integration. Without it the workflow gets one of its own, whose URL and, once, whose secret are in the answer to the save.',
          expected: 'the name or id of an integration',
          [NAMES]: 'receiver',
        }),
      ),
      respond: Type.Optional(
        Type.Union([Type.Literal('accepted'), Type.Literal('wait')], {
          description:
            '`accepted` (default): the answer is 202 as soon as the event is stored. `wait`: it waits up to 25 s for the run and has its `outputs`.',
        }),
      ),
      when: Type.Optional(described(Condition, 'A JMESPath condition over the event.')),
    },
    'Starts a run for each request to an integration.',
  ),

  read(value, pointer, problems) {
    const {
      integration,
      respond = 'accepted',
      when,
    } = value as {
      integration?: string;
      respond?: WebhookTrigger['respond'];
      when?: string | boolean;
    };
    if (integration !== undefined) problems.checkReference('receiver', integration, `${pointer}/integration`);
    const types = integration === undefined ? (['webhook.received'] as const) : INBOUND_TYPES;
    // A sender may bring events of types of one's own: nothing is known of their data.
    const ownSchemas = integration === undefined ? [] : [{}];
    const condition =
      when === undefined
        ? undefined
        : new Expressions(problems).condition(when, `${pointer}/when`, visibleToTrigger(types, ownSchemas));
    return {
      type: 'webhook',
      types,
      ...(ownSchemas.length > 0 && { ownSchemas }),
      key: integration ?? 'the integration of the workflow',
      integration,
      respond,
      when: condition,
    };
  },

  /** Senders also bring events of types of one's own. */
  listensTo: (_, type) => isInboundType(type) || !isEventType(type),

  judge({ integration, when }, event, { workflowId, receiver }) {
    if (receiver !== 'any' && !isMeant(integration, workflowId, receiver)) return { kind: 'ignored' };
    const scope = { ...event, event };
    return when && !when.test(scope) ? { kind: 'failed', failed: failedPart(when, scope, '/when') } : { kind: 'fits' };
  },
};

function isMeant(
  integration: string | undefined,
  workflowId: string,
  receiver: { readonly id: string; readonly name: string; readonly workflowId: string | undefined } | undefined,
): boolean {
  if (!receiver) return false;
  return integration === undefined
    ? receiver.workflowId === workflowId
    : receiver.id === integration || receiver.name === integration;
}

/** The webhook triggers of a workflow, as other stages need to know them. */
export const webhooksOf = (triggers: readonly Trigger[]): readonly WebhookUse[] =>
  triggers
    .filter((trigger): trigger is WebhookTrigger => trigger.type === webhookTrigger.name)
    .map(({ integration, respond }) => ({
      ...(integration !== undefined && { integration }),
      ...(respond === 'wait' && { respond }),
    }));
