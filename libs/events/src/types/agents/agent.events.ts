import { Type } from '@sinclair/typebox';

import { defineEvent } from '../../define-event.js';
import { AgentSettings } from '../../shapes/agents/agent-shape.js';

const agentId = Type.String({ description: '`agt_` and 26 characters' });
const executionId = Type.String({ description: '`exec_` and 26 characters' });

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
    description: 'An agent was created.',
    system: true,
    data: Type.Object({ agentId, settings: AgentSettings, secret }),
    example: { ...ids, settings, secret: `${ids.agentId}/secret/1` },
  }),
  'agent.updated': defineEvent({
    description: 'Settings of an agent changed; has all current settings.',
    system: true,
    data: Type.Object({
      agentId,
      settings: AgentSettings,
      secret,
      /** With a new secret: earlier ones in their time of grace, the newest first. */
      previous: Type.Optional(
        Type.Array(Type.Object({ secret: Type.String(), validUntil: Type.String({ description: 'RFC 3339 UTC' }) })),
      ),
    }),
    example: { ...ids, settings: { ...settings, webhookEnabled: false } },
  }),
  'agent.removed': defineEvent({
    description: 'An agent was removed permanently; its executions stay.',
    system: true,
    data: Type.Object({ agentId }),
    example: ids,
  }),
  'agent.cancelled': defineEvent({
    description: 'An execution was cancelled before it ended.',
    system: true,
    data: Type.Object({
      executionId,
      by: Type.Optional(
        Type.String({ description: 'who: `token/tok_…`, `run/run_…`; absent in what older versions wrote' }),
      ),
      reason: Type.Optional(
        Type.String({ description: '`subject.erased`: the execution needs data of an erased person' }),
      ),
    }),
    example: { executionId: 'exec_01jq5x1d0wkz4s3v2n8m7b6c5a', by: 'token/tok_01jq5x1d0wkz4s3v2n8m7b6c5a' },
  }),
} as const;
