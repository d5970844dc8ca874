import { Type } from '@sinclair/typebox';

import { defineEvent } from './define-event.js';

const agentId = Type.String({ description: '`agt_` and 26 characters' });
const executionId = Type.String({ description: '`exec_` and 26 characters' });

/** What of an agent may be changed later on; everything but its id. */
export const AgentSettings = Type.Object({
  name: Type.String(),
  runtime: Type.Union([
    Type.Literal('http'),
    Type.Literal('openai'),
    Type.Literal('workflow'),
    Type.Literal('command'),
  ]),
  config: Type.Record(Type.String(), Type.Unknown(), { description: 'what the runtime needs, without secrets' }),
  webhookEnabled: Type.Boolean({ description: 'whether it is received at /agents/{id}/webhook' }),
  auth: Type.Union([Type.Literal('none'), Type.Literal('bearer'), Type.Literal('hmac')]),
  rateLimit: Type.Integer({ minimum: 1, description: 'webhooks a minute' }),
  maxConcurrent: Type.Integer({ minimum: 1, description: 'executions that run at the same time' }),
});

const settings = {
  name: 'triage',
  runtime: 'http' as const,
  config: { url: 'https://agents.example.com/triage' },
  webhookEnabled: true,
  auth: 'bearer' as const,
  rateLimit: 100,
  maxConcurrent: 10,
};
const secret = Type.Optional(Type.String({ description: 'reference into the store of secrets' }));
const ids = { agentId: 'agt_01jq5x1d0wkz4s3v2n8m7b6c5a' };

/** The life of agents, and of what they are asked to do. */
export const agentEvents = {
  'agent.registered': defineEvent({
    description: 'An agent was set up.',
    system: true,
    data: Type.Object({ agentId, settings: AgentSettings, secret }),
    example: { ...ids, settings, secret: `${ids.agentId}/secret/1` },
  }),
  'agent.updated': defineEvent({
    description: 'Settings of an agent changed; holds all of them as they are now.',
    system: true,
    data: Type.Object({ agentId, settings: AgentSettings, secret }),
    example: { ...ids, settings: { ...settings, webhookEnabled: false } },
  }),
  'agent.removed': defineEvent({
    description: 'An agent was taken away for good; its executions stay.',
    system: true,
    data: Type.Object({ agentId }),
    example: ids,
  }),
  'agent.cancelled': defineEvent({
    description: 'An execution was cancelled before an agent had ended it.',
    system: true,
    data: Type.Object({ executionId }),
    example: { executionId: 'exec_01jq5x1d0wkz4s3v2n8m7b6c5a' },
  }),
} as const;
