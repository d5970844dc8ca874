import type { Double, DoubleAnswer, DoubleRequest } from './double.js';

/** What the model says next. */
export type Reply =
  | { readonly text: string; readonly isTruncated?: true; readonly withoutUsage?: true }
  | { readonly calls: readonly { readonly name: string; readonly args: unknown }[] }
  | { readonly status: number; readonly retryAfter?: string };

interface Message {
  readonly role: string;
  readonly content?: unknown;
  readonly tool_calls?: readonly { readonly id: string }[];
  readonly tool_call_id?: string;
}
interface Item {
  readonly type?: string;
  readonly role?: string;
  readonly call_id?: string;
}
interface Body {
  readonly model?: unknown;
  readonly messages?: readonly Message[];
  readonly input?: readonly Item[];
  readonly instructions?: unknown;
  readonly store?: unknown;
  readonly tools?: readonly Record<string, unknown>[];
}

/**
 * A server that speaks chat completions and responses. It plays its replies in order; a request with an `Idempotency-Key` that
 * it knows gets the same reply again, as a repeat of a call whose answer was lost does.
 */
export class OpenAiDouble implements Double {
  readonly problems: string[] = [];
  readonly bodies: Body[] = [];
  private readonly byKey = new Map<string, Reply>();
  private next = 0;

  constructor(
    private readonly replies: readonly Reply[],
    private readonly apiKey = 'value of OPENAI_KEY',
  ) {}

  answer({ method, path, headers, body: sent }: DoubleRequest): DoubleAnswer {
    const body = JSON.parse(sent) as Body;
    this.bodies.push(body);
    const isChat = path.endsWith('/chat/completions');
    const before = this.problems.length;
    if (method !== 'POST' || (!isChat && !path.endsWith('/responses'))) this.problems.push(`${method} ${path}`);
    if (headers['authorization'] !== `Bearer ${this.apiKey}`) this.problems.push('the API key is wrong');
    if (typeof body.model !== 'string') this.problems.push('there is no model');
    if (isChat) this.checkMessages(body.messages ?? []);
    else this.checkItems(body);
    for (const tool of body.tools ?? []) {
      const described = isChat ? (tool['function'] as Record<string, unknown>) : tool;
      if (tool['type'] !== 'function' || !/^[\w-]{1,64}$/.test(String(described['name'])))
        this.problems.push(`bad tool ${JSON.stringify(tool)}`);
    }
    if (this.problems.length > before)
      return json(400, { error: { code: 'bad_request', message: this.problems.at(-1) } });
    const key = headers['idempotency-key'] ?? String(this.next);
    const known = this.byKey.get(key);
    // A failure is no reply: the same call gets the next one.
    const reply = known && !('status' in known) ? known : (this.replies[this.next++] ?? { text: 'no more replies' });
    this.byKey.set(key, reply);
    if ('status' in reply)
      return json(
        reply.status,
        { error: { code: 'overloaded' } },
        reply.retryAfter === undefined ? {} : { 'retry-after': reply.retryAfter },
      );
    return json(200, isChat ? chatAnswer(reply, this.next) : responsesAnswer(reply, this.next));
  }

  /** Every call of a tool is answered right after it, and nothing else is. */
  private checkMessages(messages: readonly Message[]): void {
    if (messages[0]?.role !== 'system') this.problems.push('the first message is not of the system');
    if (messages.slice(1).some(({ role }) => role === 'system')) this.problems.push('a later message is of the system');
    let open: string[] = [];
    for (const { role, tool_calls, tool_call_id } of messages) {
      if (role === 'tool') {
        if (!open.includes(tool_call_id!)) this.problems.push(`nobody called ${tool_call_id}`);
        open = open.filter((id) => id !== tool_call_id);
        continue;
      }
      if (open.length > 0) this.problems.push(`unanswered calls: ${open.join()}`);
      open = (tool_calls ?? []).map(({ id }) => id);
    }
    if (open.length > 0) this.problems.push(`unanswered calls: ${open.join()}`);
  }

  private checkItems({ input = [], instructions, store }: Body): void {
    if (typeof instructions !== 'string') this.problems.push('there are no instructions');
    if (store !== false) this.problems.push('it asks to keep the conversation');
    if (input.some(({ role }) => role === 'system' || role === 'developer'))
      this.problems.push('an item is of the system');
    const called = input.flatMap((item) => (item.type === 'function_call' ? [item.call_id] : []));
    const answered = input.flatMap((item) => (item.type === 'function_call_output' ? [item.call_id] : []));
    if (JSON.stringify(called) !== JSON.stringify(answered)) this.problems.push('calls and their outputs do not match');
  }
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}): DoubleAnswer => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
});

type Said = Exclude<Reply, { status: number }>;
const callsOf = (reply: Said, nth: number) =>
  'calls' in reply
    ? reply.calls.map(({ name, args }, index) => ({
        id: `call_${nth}_${index}`,
        name,
        arguments: JSON.stringify(args),
      }))
    : [];

function chatAnswer(reply: Said, nth: number): unknown {
  const calls = callsOf(reply, nth).map(({ id, ...called }) => ({ id, type: 'function', function: called }));
  const text = 'text' in reply ? reply.text : null;
  return {
    object: 'chat.completion',
    choices: [
      {
        index: 0,
        finish_reason: 'isTruncated' in reply ? 'length' : calls.length > 0 ? 'tool_calls' : 'stop',
        message: { role: 'assistant', content: text, ...(calls.length > 0 && { tool_calls: calls }) },
      },
    ],
    ...(!('withoutUsage' in reply) && { usage: { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 } }),
  };
}

function responsesAnswer(reply: Said, nth: number): unknown {
  const calls = callsOf(reply, nth).map(({ id, ...called }) => ({ type: 'function_call', call_id: id, ...called }));
  const said =
    'text' in reply
      ? [{ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: reply.text }] }]
      : [];
  return {
    object: 'response',
    status: 'isTruncated' in reply ? 'incomplete' : 'completed',
    ...('isTruncated' in reply && { incomplete_details: { reason: 'max_output_tokens' } }),
    output: [{ type: 'reasoning', id: `rs_${nth}`, encrypted_content: 'x' }, ...calls, ...said],
    usage: { input_tokens: 100, output_tokens: 20 },
  };
}
