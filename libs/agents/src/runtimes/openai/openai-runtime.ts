import type { ConfigOf } from '#libs/events/src/shapes/agents/agent-config-shape.js';
import { parseDuration } from '#libs/kernel/src/time/durations.js';

import { failed, finished } from '../../engine/end-drafts.js';
import { type ModelCall, openApproval } from '../../engine/model-calls.js';
import { type Move, type Runtime, type Turn, WAIT } from '../runtime.js';
import { offeredTools } from '../tools/offered-tools.js';
import { listTools } from '../tools/call-tool.js';
import { isServer } from '../tools/offered-tools.js';
import { conversation } from './conversation.js';
import { reserve, estimatedTokens } from './limits.js';
import { callModel } from './model-client.js';
import { problemsOf } from './output-check.js';
import { DATA_RULE, promptText } from './prompt.js';
import { nextToolMove } from './tool-move.js';
import type { Question } from './wire.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

const DEFAULT_DURATION = '10m';

type Config = ConfigOf<'openai'>;

/**
 * A model of an OpenAI-compatible server that may call tools: list the tools → ask the model → call the tools that it asks
 * for, one after the other → ask the model … → the output. After a crash the model is asked again; whether a tool is called
 * again is decided in `tool-move.ts`.
 */
export const openaiRuntime: Runtime = {
  timeLimit: (config) => parseDuration((config as Config).limits?.duration ?? DEFAULT_DURATION),

  decide(turn): Move {
    const { execution, settings, now } = turn;
    const { work, retryAt } = execution;
    const config = settings.config as Config;
    if ((retryAt && retryAt > now) || openApproval(work)) return WAIT;
    if (!work.tools && config.tools?.some(isServer)) return askForTools(turn, config.tools);
    const last = work.calls.findLast((call): call is ModelCall => call.kind === 'model');
    if (!last) return askModel(turn);
    if (!last.answer) return { drafts: [], call: (signal) => callModel(turn, last.called, question(turn), signal) };
    return nextToolMove(turn, last, last.answer) ?? answered(turn, last.answer.text, last.answer.isTruncated);
  },
};

/** Nothing is asked of anybody before the log says so. */
function askForTools(turn: Turn, tools: NonNullable<Config['tools']>): Move {
  const { work, start } = turn.execution;
  const servers = tools.flatMap((tool, index) => (isServer(tool) ? [index] : []));
  const requested = { type: 'agent.tools_requested' as const, data: { executionId: start.executionId, servers } };
  return { drafts: work.isAskingForTools ? [] : [requested], call: (signal) => listTools(turn, signal) };
}

/** The model has answered, and so have all tools that it asked for. */
function answered(turn: Turn, text: string, isTruncated: boolean): Move {
  const { execution, settings, now } = turn;
  const { outputSchema } = settings.config as Config;
  const last = execution.work.calls.findLast((call) => call.kind === 'model');
  if (last?.kind === 'model' && last.answer!.toolCalls.length > 0) return askModel(turn);
  if (isTruncated) {
    const message = 'The answer of the model ended at the limit of its length.';
    return { drafts: [failed(execution, { code: 'agent.output_truncated', message }, now)] };
  }
  const { output, problem } = problemsOf(text, outputSchema);
  if (problem === undefined) return { drafts: [finished(execution, output, now)] };
  // One more try: an answer without calls of tools before the last one was the first.
  const ends = execution.work.calls.filter((call) => call.kind === 'model' && call.answer?.toolCalls.length === 0);
  if (ends.length === 1) return askModel(turn);
  const message = `The output does not match outputSchema, also after one repair: ${problem}.`;
  return { drafts: [failed(execution, { code: 'agent.invalid_output', message }, now, text)] };
}

function askModel(turn: Turn): Move {
  const { execution, settings, now } = turn;
  const config = settings.config as Config;
  const { work, start } = execution;
  const asked = question(turn);
  const inputTokens = estimatedTokens(stringifyJson([asked.system, asked.turns, asked.tools]));
  const reserved = reserve(config, work, inputTokens);
  if ('code' in reserved) return { drafts: [failed(execution, reserved, now)] };
  const called = {
    executionId: start.executionId,
    call: work.calls.length + 1,
    model: config.model,
    reserved: { inputTokens, ...reserved },
  };
  return {
    drafts: [{ type: 'agent.model_called', data: called }],
    call: (signal) => callModel(turn, called, asked, signal),
  };
}

function question({ execution, settings, input, event }: Turn): Omit<Question, 'maxOutputTokens'> {
  // Earlier versions let the prompt be left out.
  const { system = '', prompt = 'Work on the input.', tools, outputSchema } = settings.config as Config;
  const { work, start } = execution;
  const text = promptText(prompt, { event: event ?? null, input, execution: { id: start.executionId } });
  return {
    system: [system, DATA_RULE].filter((part) => part !== '').join('\n\n'),
    turns: conversation(text, work, outputSchema),
    tools: offeredTools(tools, work.tools),
  };
}
