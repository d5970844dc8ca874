import type { ConfigOf } from '#libs/events/src/shapes/agents/agent-config-shape.js';
import type { ExecutionError, ExecutionUsage } from '#libs/events/src/shapes/agents/execution-shape.js';
import { canonicalJson } from '#libs/kernel/src/json.js';

import { type ModelWork, usageOf } from '../../engine/model-calls.js';

type Config = Pick<ConfigOf<'openai'>, 'limits' | 'prices'>;

const DEFAULT_STEPS = 20;
const MAX_SAME_CALLS = 3;
/** Fewer than any tokenizer needs on average, so that an estimate is rather too high. */
const BYTES_PER_TOKEN = 3;

export const estimatedTokens = (text: string): number => Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN);

const exceeded = (what: string, message: string): ExecutionError => ({ code: `agent.limit_${what}`, message });

/** What the next call of the model may use, or which limit it would exceed. */
export function reserve(
  { limits = {}, prices }: Config,
  work: ModelWork,
  inputTokens: number,
): { readonly outputTokens?: number } | ExecutionError {
  const steps = stepsExceeded({ limits }, work);
  if (steps) return steps;
  const used = usageOf(work) ?? { inputTokens: 0, outputTokens: 0 };
  const most: number[] = [];
  if (limits.tokens !== undefined) {
    const left = limits.tokens - used.inputTokens - used.outputTokens - inputTokens;
    if (left < 1) return exceeded('tokens', `The limit of ${limits.tokens} tokens does not allow another call.`);
    most.push(left);
  }
  if (limits.costCents !== undefined && prices) {
    const left = limits.costCents - (used.costCents ?? 0) - (inputTokens * prices.inputPerMillion) / 1e6;
    if (left <= 0) return exceeded('cost', `The limit of ${limits.costCents} cents does not allow another call.`);
    const tokens = prices.outputPerMillion === 0 ? Infinity : Math.floor((left * 1e6) / prices.outputPerMillion);
    if (tokens < 1) return exceeded('cost', `The limit of ${limits.costCents} cents does not allow another call.`);
    if (tokens < Infinity) most.push(tokens);
  }
  return most.length === 0 ? {} : { outputTokens: Math.min(...most) };
}

export function stepsExceeded({ limits }: Config, { calls }: ModelWork): ExecutionError | undefined {
  const most = limits?.steps ?? DEFAULT_STEPS;
  return calls.length >= most ? exceeded('steps', `The limit of ${most} steps is reached.`) : undefined;
}

/** The same tool with the same arguments again and again is a loop. */
export function isLoop({ calls }: ModelWork, tool: string, args: unknown): boolean {
  const wanted = canonicalJson(args);
  const same = calls.filter(
    (call) => call.kind === 'tool' && call.called?.tool === tool && canonicalJson(call.called.arguments) === wanted,
  );
  return same.length >= MAX_SAME_CALLS;
}
export const LOOP: ExecutionError = exceeded(
  'loop',
  `The model called the same tool with the same arguments more than ${MAX_SAME_CALLS} times.`,
);

/** With its cost. Where the server does not say what a call used, what was reserved for it counts. */
export function priced(
  { prices }: Config,
  usage: Pick<ExecutionUsage, 'inputTokens' | 'outputTokens'>,
): ExecutionUsage {
  if (!prices) return usage;
  const cost = (usage.inputTokens * prices.inputPerMillion + usage.outputTokens * prices.outputPerMillion) / 1e6;
  return { ...usage, costCents: cost };
}
