import type { DataOf } from '#libs/events/src/catalogue.js';
import type { ConfigOf } from '#libs/events/src/shapes/agents/agent-config-shape.js';
import { isObject } from '#libs/kernel/src/json.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { Turn } from './conversation.js';

/** What a model is asked, whichever API it is asked through. */
export interface Question {
  readonly system: string;
  readonly turns: readonly Turn[];
  readonly tools: readonly { readonly name: string; readonly description: string; readonly inputSchema: unknown }[];
  readonly maxOutputTokens: number | undefined;
}

export type Answer = Pick<DataOf<'agent.model_answered'>, 'message' | 'text' | 'toolCalls' | 'isTruncated'> & {
  /** Absent where the server does not say. */
  readonly usage?: { readonly inputTokens: number; readonly outputTokens: number };
};

type Config = ConfigOf<'openai'>;

/** One API of an OpenAI-compatible server. */
export interface Wire {
  readonly path: string;
  body(config: Config, question: Question): object;
  /** `undefined` where the answer is not one of this API. */
  read(answer: unknown): Answer | undefined;
}

type Fields = Readonly<Record<string, unknown>>;
const fields = (value: unknown): Fields => (isObject(value) ? value : {});
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as readonly unknown[]) : []);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
const asText = (value: unknown): string => (typeof value === 'string' ? value : stringifyJson(value ?? null));

function usageIn(usage: unknown, input: string, output: string): Pick<Answer, 'usage'> {
  const { [input]: inputTokens, [output]: outputTokens } = fields(usage);
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  return isCount(inputTokens) && isCount(outputTokens) ? { usage: { inputTokens, outputTokens } } : {};
}

const functionOf = ({ name, description, inputSchema }: Question['tools'][number]) => ({
  name,
  description,
  parameters: inputSchema,
});

const chatCompletions: Wire = {
  path: 'chat/completions',
  body: ({ model, outputSchema }, { system, turns, tools, maxOutputTokens }) => ({
    model,
    messages: [
      { role: 'system', content: system },
      ...turns.map((turn) => {
        if (turn.kind === 'user') return { role: 'user', content: turn.text };
        if (turn.kind === 'model') return turn.message;
        return { role: 'tool', tool_call_id: turn.toolCallId, content: asText(turn.output) };
      }),
    ],
    ...(tools.length > 0 && { tools: tools.map((tool) => ({ type: 'function', function: functionOf(tool) })) }),
    ...(maxOutputTokens !== undefined && { max_completion_tokens: maxOutputTokens }),
    ...(outputSchema && {
      response_format: { type: 'json_schema', json_schema: { name: 'output', schema: outputSchema } },
    }),
  }),
  read(answer) {
    const [choice] = list(fields(answer)['choices']);
    const { message, finish_reason } = fields(choice);
    if (!isObject(message)) return undefined;
    return {
      message,
      text: textOf(message['content']),
      toolCalls: list(message['tool_calls']).map((one) => {
        const { id, function: called } = fields(one);
        const { name, arguments: args } = fields(called);
        return { id: textOf(id), name: textOf(name), arguments: textOf(args) };
      }),
      isTruncated: finish_reason === 'length',
      ...usageIn(fields(answer)['usage'], 'prompt_tokens', 'completion_tokens'),
    };
  },
};

const responses: Wire = {
  path: 'responses',
  body: ({ model, outputSchema }, { system, turns, tools, maxOutputTokens }) => ({
    model,
    instructions: system,
    // Nothing is kept at the server: what was said is sent with each call, reasoning included.
    store: false,
    include: ['reasoning.encrypted_content'],
    input: turns.flatMap((turn): readonly unknown[] => {
      if (turn.kind === 'user') return [{ role: 'user', content: turn.text }];
      if (turn.kind === 'model') return list(turn.message);
      return [{ type: 'function_call_output', call_id: turn.toolCallId, output: asText(turn.output) }];
    }),
    ...(tools.length > 0 && { tools: tools.map((tool) => ({ type: 'function', ...functionOf(tool), strict: false })) }),
    ...(maxOutputTokens !== undefined && { max_output_tokens: maxOutputTokens }),
    ...(outputSchema && {
      text: { format: { type: 'json_schema', name: 'output', schema: outputSchema, strict: false } },
    }),
  }),
  read(answer) {
    const { output, status, incomplete_details, usage } = fields(answer);
    if (!Array.isArray(output)) return undefined;
    const items = list(output).map(fields);
    const said = items.filter(({ type }) => type === 'message').flatMap(({ content }) => list(content).map(fields));
    return {
      message: output,
      text: said.map(({ type, text }) => (type === 'output_text' ? textOf(text) : '')).join(''),
      toolCalls: items
        .filter(({ type }) => type === 'function_call')
        .map(({ call_id, name, arguments: args }) => ({
          id: textOf(call_id),
          name: textOf(name),
          arguments: textOf(args),
        })),
      isTruncated: status === 'incomplete' && fields(incomplete_details)['reason'] === 'max_output_tokens',
      ...usageIn(usage, 'input_tokens', 'output_tokens'),
    };
  },
};

export const wires: Readonly<Record<NonNullable<Config['api']>, Wire>> = {
  chat_completions: chatCompletions,
  responses,
};
