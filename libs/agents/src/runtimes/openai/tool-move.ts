import { createHash } from 'node:crypto';

import type { DataOf } from '#libs/events/src/catalogue.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import type { ConfigOf } from '#libs/events/src/shapes/agents/agent-config-shape.js';
import { canonicalJson, isObject } from '#libs/kernel/src/json.js';
import { parseJson } from '#libs/kernel/src/text/exact-json.js';
import { uuid5 } from '#libs/kernel/src/ids.js';

import { failed } from '../../engine/end-drafts.js';
import type { ExecutionDraft } from '../../engine/execution-state.js';
import type { Approval, ModelCall, ToolCall } from '../../engine/model-calls.js';
import { type Move, type Turn, WAIT } from '../runtime.js';
import { callTool } from '../tools/call-tool.js';
import { type OfferedTool, offeredTools } from '../tools/offered-tools.js';
import { isLoop, LOOP, stepsExceeded } from './limits.js';
import { problemsOf } from './output-check.js';

type Answer = DataOf<'agent.model_answered'>;
type Asked = Answer['toolCalls'][number];
type Called = DataOf<'agent.tool_called'>;

export const sha256Of = (args: unknown): string => createHash('sha256').update(canonicalJson(args)).digest('hex');

/** What happens next with the tools that the model asked for; `undefined` where all have answered. */
export function nextToolMove(turn: Turn, { number }: ModelCall, { toolCalls }: Answer): Move | undefined {
  const { calls } = turn.execution.work;
  for (const asked of toolCalls) {
    const call = calls.find(
      (one): one is ToolCall => one.kind === 'tool' && one.number > number && one.toolCallId === asked.id,
    );
    if (call?.answer) continue;
    return call?.called ? resumed(turn, call, call.called) : begun(turn, number, asked);
  }
  return undefined;
}

/** A tool that the model asks for, and that was not called. */
function begun(turn: Turn, model: number, { id: toolCallId, name, arguments: text }: Asked): Move {
  const { execution, settings, now } = turn;
  const { work, start } = execution;
  const config = settings.config as ConfigOf<'openai'>;
  const { executionId, agentId, agent } = start;
  const number = work.calls.length + 1;
  const refuse = (output: string): Move => ({
    drafts: [
      {
        type: 'agent.tool_answered',
        data: { executionId, call: number, toolCallId, tool: name, output, isError: true },
      },
    ],
    call: () => Promise.resolve([]),
  });
  const steps = stepsExceeded(config, work);
  if (steps) return { drafts: [failed(execution, steps, now)] };
  const tool = offeredTools(config.tools, work.tools).find((one) => one.name === name);
  if (!tool) return refuse(`There is no tool "${name}".`);
  const args = argumentsIn(text);
  if (!args) return refuse('The arguments must be a JSON object.');
  if (isLoop(work, name, args)) return { drafts: [failed(execution, LOOP, now)] };
  const { problem } = problemsOf(text || '{}', tool.inputSchema as object);
  if (problem !== undefined) return refuse(`The arguments do not match the schema of the tool: ${problem}.`);
  const argumentsSha256 = sha256Of(args);
  if (tool.policy === 'ask') {
    // Bound to these arguments: changed ones ask again.
    const approvalId = uuid5('agent-approval', executionId, String(model), toolCallId, argumentsSha256);
    const approval = work.approvals.find(({ requested }) => requested.approvalId === approvalId);
    if (!approval) {
      const about = { executionId, approvalId, agentId, agent, reason: 'policy' as const, toolCallId, tool: name };
      return { drafts: [{ type: 'agent.approval_requested', data: { ...about, arguments: args, argumentsSha256 } }] };
    }
    if (!approval.decided) return WAIT;
    if (approval.decided.decision !== 'approve') return refuse(rejected(approval));
  }
  return called(turn, tool, {
    executionId,
    call: number,
    toolCallId,
    tool: name,
    arguments: args,
    effectId: uuid5('agent-tool', executionId, String(number)),
    isRepeatable: tool.isRepeatable,
  });
}

function called(turn: Turn, tool: OfferedTool, data: Called): Move {
  const { executionId, agentId, eventId } = turn.execution.start;
  const request = tool.builtIn?.request;
  if (!request) {
    return {
      drafts: [{ type: 'agent.tool_called', data }],
      call: (signal) => callTool(turn, tool, data, signal),
    };
  }
  // Another stage does it; the request and the intent are one append.
  const id = uuid5('agent-tool-request', executionId, String(data.call));
  const asker = { agentId, executionId, eventId, event: turn.eventAt };
  const asked = { ...request(data.arguments as Readonly<Record<string, unknown>>, asker), id } as ExecutionDraft;
  return { drafts: [{ type: 'agent.tool_called', data: { ...data, requestId: eventIdOf(id) } }, asked] };
}

/** A tool that was called by a process that has died since, or that answers later. */
function resumed(turn: Turn, call: ToolCall, data: Called): Move {
  const { work, start } = turn.execution;
  const { executionId, agentId, agent } = start;
  const { toolCallId, tool: name, call: number, arguments: args } = data;
  if (data.requestId !== undefined) return WAIT;
  const config = turn.settings.config as ConfigOf<'openai'>;
  const tool = offeredTools(config.tools, work.tools).find((one) => one.name === name)!;
  const again = (drafts: readonly ExecutionDraft[]): Move => ({
    drafts,
    call: (signal) => callTool(turn, tool, data, signal),
  });
  if (data.isRepeatable) return again([]);
  const approvalId = uuid5(
    'agent-approval',
    executionId,
    String(number),
    'unknown',
    String(triesOf(work.approvals, number)),
  );
  if (!call.isUnknown) {
    const about = {
      executionId,
      approvalId,
      agentId,
      agent,
      reason: 'unknown' as const,
      call: number,
      toolCallId,
      tool: name,
    };
    return {
      drafts: [
        { type: 'agent.tool_unknown', data: { executionId, call: number, toolCallId, tool: name } },
        { type: 'agent.approval_requested', data: { ...about, arguments: args, argumentsSha256: sha256Of(args) } },
      ],
    };
  }
  const approval = work.approvals.findLast(({ requested }) => requested.call === number);
  if (!approval?.decided) return WAIT;
  const { decision, result } = approval.decided;
  const answer = (output: unknown, isError: boolean): Move => ({
    drafts: [
      { type: 'agent.tool_answered', data: { executionId, call: number, toolCallId, tool: name, output, isError } },
    ],
    call: () => Promise.resolve([]),
  });
  if (decision === 'result') return answer(result ?? null, false);
  if (decision === 'reject') return answer(rejected(approval), true);
  // Once more, with the same key; recorded again, so that a second crash asks again.
  return again([{ type: 'agent.tool_called', data }]);
}

const triesOf = (approvals: readonly Approval[], call: number): number =>
  approvals.filter(({ requested }) => requested.call === call).length;

const rejected = ({ decided }: Approval): string =>
  `A person rejected the call${decided?.comment === undefined ? '.' : `: ${decided.comment}`}`;

function argumentsIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const args = parseJson(text.trim() === '' ? '{}' : text);
    return isObject(args) ? args : undefined;
  } catch {
    return undefined;
  }
}
