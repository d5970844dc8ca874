import { Type } from '@sinclair/typebox';

import { defineEvent } from '../../define-event.js';
import { AgentRuntime, ExecutionError, ExecutionTrigger, ExecutionUsage } from '../../shapes/agents/execution-shape.js';
import { RequestedBy } from '../actions/requested-by.js';

const executionId = Type.String({ description: '`exec_` and 26 characters' });
const time = (description: string) => Type.String({ description: `${description}; RFC 3339 UTC` });
const latencyMs = Type.Integer({ minimum: 0 });
const attempt = Type.Integer({ minimum: 1, description: '1 for the first' });

const about = {
  executionId,
  agentId: Type.String({ description: '`agt_` and 26 characters' }),
  agent: Type.String({ description: 'name of the agent' }),
  trigger: ExecutionTrigger,
  eventId: Type.String({ description: 'id of the event that led to it; empty if no event did' }),
};
const ended = {
  ...about,
  usage: Type.Optional(ExecutionUsage),
  durationMs: Type.Integer({ minimum: 0, description: 'since it started' }),
};
const ids = { executionId: 'exec_01jq5x1d0wkz4s3v2n8m7b6c5a' };
const example = {
  ...ids,
  agentId: 'agt_01jq5x1d0wkz4s3v2n8m7b6c5a',
  agent: 'triage',
  trigger: 'rule' as const,
  eventId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a',
};

/** What happens to an execution of an agent, from its start to its end: all of it is in the execution's own stream. */
export const executionEvents = {
  'agent.started': defineEvent({
    description: 'An execution of an agent started.',
    data: Type.Object({
      ...about,
      runtime: AgentRuntime,
      requestedBy: RequestedBy,
      /** Where the log keeps the request. */
      request: Type.Object({ stream: Type.String(), revision: Type.String() }),
      settings: Type.String({ description: 'revision of the stream of the agent whose settings the execution keeps' }),
      deadline: Type.Optional(time('when its time limit ends')),
    }),
    example: {
      ...example,
      runtime: 'http',
      requestedBy: { kind: 'rule', ruleId: 'rul_01jq5x1d0wkz4s3v2n8m7b6c5a', ruleVersion: 1, index: 0 },
      request: { stream: 'decisions-0195cbd0-b41c-7f04-8ee0-aa2a0e71b0aa', revision: '1' },
      settings: '0',
      deadline: '2026-11-20T13:19:15.123Z',
    },
  }),
  'agent.attempt_started': defineEvent({
    description: 'The agent is about to be called.',
    system: true,
    data: Type.Object({ executionId, attempt }),
    example: { ...ids, attempt: 1 },
  }),
  'agent.attempt_failed': defineEvent({
    description: 'A call of the agent failed, and another one follows.',
    system: true,
    data: Type.Object({
      executionId,
      attempt,
      error: ExecutionError,
      retryAt: time('when it is called again'),
      latencyMs,
    }),
    example: {
      ...ids,
      attempt: 1,
      error: { code: 'agent.status', message: 'The agent answered 503.' },
      retryAt: '2026-11-20T13:14:25.123Z',
      latencyMs: 41,
    },
  }),
  'agent.accepted': defineEvent({
    description: 'The agent accepted the task and delivers its result later.',
    system: true,
    data: Type.Object({
      executionId,
      /** Of an agent that is asked for its result. */
      taskId: Type.Optional(Type.String()),
      latencyMs: Type.Optional(latencyMs),
    }),
    example: { ...ids, latencyMs: 41 },
  }),
  'agent.finished': defineEvent({
    description: 'An execution of an agent completed.',
    data: Type.Object({ ...ended, output: Type.Unknown({ description: 'any JSON' }) }),
    example: { ...example, durationMs: 1_204, output: { priority: 'high' } },
  }),
  'agent.failed': defineEvent({
    description: 'An execution of an agent failed, or its time limit ended (`status: timeout`).',
    data: Type.Object({
      ...ended,
      status: Type.Union([Type.Literal('failed'), Type.Literal('timeout')]),
      error: ExecutionError,
      output: Type.Optional(Type.Unknown({ description: 'any JSON that the agent gave all the same' })),
    }),
    example: {
      ...example,
      durationMs: 1_204,
      status: 'failed',
      error: { code: 'agent.status', message: 'The agent answered 400.' },
    },
  }),
} as const;
