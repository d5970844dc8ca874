import { Type } from '@sinclair/typebox';

import { defineEvent } from '../../define-event.js';
import { ApprovalDecision, ExecutionUsage } from '../../shapes/agents/execution-shape.js';

const executionId = Type.String({ description: '`exec_` and 26 characters' });
const call = Type.Integer({ minimum: 1, description: 'number of the call in its execution' });
const latencyMs = Type.Integer({ minimum: 0 });
const approvalId = Type.String({ description: 'UUID' });
const toolCallId = Type.String({ description: 'as the model names the call' });
const tool = Type.String({ description: 'as the model knows it' });
const args = Type.Unknown({ description: 'any JSON' });
const ids = { executionId: 'exec_01jq5x1d0wkz4s3v2n8m7b6c5a' };
const uuid = '6f0d8a57-3a2e-5b4c-9d3e-7f8091a2b3c4';
const asked = { toolCallId: 'call_1', tool: 'create_issue', arguments: { title: 'DB latency' } };
const hash = 'f'.repeat(64);

/** What an execution does that a model directs: the intent of every call is recorded before it. */
export const modelEvents = {
  'agent.tools_requested': defineEvent({
    description: 'The servers of tools are about to be asked which tools they have.',
    system: true,
    data: Type.Object({
      executionId,
      servers: Type.Array(Type.Integer({ minimum: 0 }), { description: 'their places in `config.tools`' }),
    }),
    example: { ...ids, servers: [0] },
  }),
  'agent.tools_listed': defineEvent({
    description: 'The tools that the model may call, as their servers describe them.',
    system: true,
    data: Type.Object({
      executionId,
      tools: Type.Array(
        Type.Object({
          name: tool,
          /** Place of the server in `config.tools`, and how it names the tool. */
          server: Type.Integer({ minimum: 0 }),
          serverName: Type.String(),
          description: Type.String(),
          inputSchema: Type.Unknown({ description: 'JSON Schema' }),
          readOnly: Type.Boolean(),
          idempotent: Type.Boolean(),
        }),
      ),
    }),
    example: {
      ...ids,
      tools: [
        {
          name: 'get_order',
          server: 0,
          serverName: 'get_order',
          description: 'Finds an order.',
          inputSchema: { type: 'object' },
          readOnly: true,
          idempotent: true,
        },
      ],
    },
  }),
  'agent.model_called': defineEvent({
    description: 'The model is about to be called; what the call may use is reserved.',
    system: true,
    data: Type.Object({
      executionId,
      call,
      model: Type.String(),
      reserved: Type.Object({
        inputTokens: Type.Integer({ minimum: 0, description: 'estimated' }),
        outputTokens: Type.Optional(Type.Integer({ minimum: 1, description: 'at most' })),
      }),
    }),
    example: { ...ids, call: 1, model: 'small-1', reserved: { inputTokens: 420, outputTokens: 1000 } },
  }),
  'agent.model_answered': defineEvent({
    description: 'The model answered.',
    system: true,
    data: Type.Object({
      executionId,
      call,
      message: Type.Unknown({ description: 'as the server sent it, for the next call' }),
      text: Type.String(),
      toolCalls: Type.Array(Type.Object({ id: Type.String(), name: Type.String(), arguments: Type.String() })),
      isTruncated: Type.Boolean({ description: 'it ended at the limit of its length' }),
      usage: ExecutionUsage,
      latencyMs,
    }),
    example: {
      ...ids,
      call: 1,
      message: { role: 'assistant', content: 'Priority: high' },
      text: 'Priority: high',
      toolCalls: [],
      isTruncated: false,
      usage: { inputTokens: 401, outputTokens: 12 },
      latencyMs: 840,
    },
  }),
  'agent.tool_called': defineEvent({
    description: 'A tool is about to be called. The effect id is its idempotency key.',
    system: true,
    data: Type.Object({
      executionId,
      call,
      toolCallId,
      tool,
      arguments: args,
      effectId: Type.String({ description: 'UUID, the same for every try of the call' }),
      /** Whether it may be called again where nobody knows what became of a call. */
      isRepeatable: Type.Boolean(),
      requestId: Type.Optional(Type.String({ description: 'id of the event that asks another stage' })),
    }),
    example: { ...ids, call: 2, ...asked, effectId: uuid, isRepeatable: false },
  }),
  'agent.tool_answered': defineEvent({
    description: 'What a tool gave, or why it gave nothing.',
    system: true,
    data: Type.Object({
      executionId,
      call,
      toolCallId,
      tool,
      output: Type.Unknown({ description: 'any JSON' }),
      isError: Type.Boolean(),
      latencyMs: Type.Optional(latencyMs),
    }),
    example: { ...ids, call: 2, toolCallId: 'call_1', tool: 'create_issue', output: { id: 4711 }, isError: false },
  }),
  'agent.tool_unknown': defineEvent({
    description: 'Nobody knows whether a tool was called: the process died, and the call must not be repeated unasked.',
    system: true,
    data: Type.Object({ executionId, call, toolCallId, tool }),
    example: { ...ids, call: 2, toolCallId: 'call_1', tool: 'create_issue' },
  }),
  'agent.approval_requested': defineEvent({
    description: 'The execution waits until a person decides about the call of a tool.',
    data: Type.Object({
      executionId,
      approvalId,
      agentId: Type.String(),
      agent: Type.String({ description: 'name of the agent' }),
      reason: Type.Union([Type.Literal('policy'), Type.Literal('unknown')], {
        description: '`policy`: the tool must be approved. `unknown`: nobody knows whether it was called.',
      }),
      call: Type.Optional(call),
      toolCallId,
      tool,
      arguments: args,
      argumentsSha256: Type.String({ description: 'of the canonical JSON of the arguments: what is approved' }),
    }),
    example: {
      ...ids,
      approvalId: uuid,
      agentId: 'agt_01jq5x1d0wkz4s3v2n8m7b6c5a',
      agent: 'triage',
      reason: 'policy',
      ...asked,
      argumentsSha256: hash,
    },
  }),
  'agent.approval_decided': defineEvent({
    description: 'A person decided about the call of a tool.',
    system: true,
    data: Type.Object({
      executionId,
      approvalId,
      decision: ApprovalDecision,
      comment: Type.Optional(Type.String()),
      result: Type.Optional(Type.Unknown({ description: 'what the tool gave, where the person knows it' })),
      argumentsSha256: Type.String(),
      by: Type.String({ description: 'who: `token/tok_…`' }),
      waitedMs: Type.Integer({ minimum: 0, description: 'how long the execution waited; its time limit moves by it' }),
    }),
    example: {
      ...ids,
      approvalId: uuid,
      decision: 'approve',
      argumentsSha256: hash,
      by: 'token/tok_01jq5x1d0wkz4s3v2n8m7b6c5a',
      waitedMs: 60_000,
    },
  }),
} as const;
