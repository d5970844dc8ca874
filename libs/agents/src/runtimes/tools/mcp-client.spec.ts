import { describe, expect, it } from '@jest/globals';

import type { EgressOutcome, EgressRequest } from '#libs/egress/src/egress.js';
import { ExactNumber, isExactNumber } from '#libs/kernel/src/text/exact-json.js';

import { FakeEgress, json } from '../../../testing/execution-world.js';
import { McpDouble } from '../../../testing/mcp-double.js';
import { McpError, McpSession } from './mcp-client.js';

type Message = { readonly id?: number; readonly method?: string };
type AnswerTo = (message: Message) => EgressOutcome | Promise<EgressOutcome>;

const lost: EgressOutcome = { kind: 'failed', failureClass: 'connect', detail: 'ECONNRESET', latencyMs: 1 };
const result = ({ id }: Message, value: string): EgressOutcome =>
  json(200, `{"jsonrpc":"2.0","id":${id},"result":${value}}`);
const stream = (text: string): EgressOutcome => json(200, text, { 'content-type': 'text/event-stream' });

let egress: FakeEgress;
const messageOf = ({ body }: EgressRequest): Message =>
  body === undefined ? {} : (JSON.parse(String(body)) as Message);
const methods = () => egress.requests.map((one) => messageOf(one).method ?? one.method);

async function call(args: unknown, answers: Readonly<Record<string, AnswerTo>>): Promise<Record<string, unknown>> {
  egress = new FakeEgress();
  egress.answer = (request) => {
    const message = messageOf(request);
    const answer = answers[message.method ?? ''];
    if (answer) return answer(message);
    return message.method === 'initialize'
      ? json(
          200,
          { jsonrpc: '2.0', id: message.id, result: { protocolVersion: '2025-06-18' } },
          { 'mcp-session-id': 's1' },
        )
      : json(202, '');
  };
  const signal = new AbortController().signal;
  const server = {
    egress,
    url: 'https://tools.example.com/mcp',
    headers: {},
    timeoutMs: 1_000,
    maxBytes: 10_000,
    signal,
  };
  const session = await McpSession.open(server);
  try {
    return await session.call('refund', args, 'effect-1');
  } finally {
    session.close();
  }
}
const failure = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error);

describe('a call of a tool', () => {
  it('is one request in a session of its own, with the key of the effect', async () => {
    await call({}, { 'tools/call': (message) => result(message, '{}') });
    expect(methods()).toEqual(['initialize', 'notifications/initialized', 'tools/call', 'DELETE']);
    expect(egress.requests[2]).toMatchObject({
      headers: { 'Idempotency-Key': 'effect-1', 'Mcp-Session-Id': 's1', 'MCP-Protocol-Version': '2025-06-18' },
      timeoutMs: 1_000,
      maxBytes: 10_000,
    });
  });

  it('has its result while the server takes its time to end the session', async () => {
    const endless = new Promise<EgressOutcome>(() => undefined);
    const answers = { 'tools/call': (message: Message) => result(message, '{"isError":false}'), '': () => endless };
    expect(await call({}, answers)).toEqual({ isError: false });
    expect(egress.requests.at(-1)).toMatchObject({ method: 'DELETE', timeoutMs: 5_000 });
  });

  it('sends and returns numbers with all their digits', async () => {
    const answer = await call(
      { order: new ExactNumber('7615917337495251231') },
      { 'tools/call': (message) => result(message, '{"structuredContent":{"id":7615917337495251231}}') },
    );
    expect(String(egress.requests[2]!.body)).toContain('{"order":7615917337495251231}');
    const { id } = answer['structuredContent'] as { id: unknown };
    expect(isExactNumber(id) && id.text).toBe('7615917337495251231');
  });

  it('finds its answer after what else an event stream holds', async () => {
    const notice = ': hello\n\ndata: {"jsonrpc":"2.0","id":99,"method":"ping"}\n\n';
    const answer = ({ id }: Message) =>
      stream(`${notice}id: 7\ndata: {"jsonrpc":"2.0","id":${id},"result":{"isError":false}}\n\n`);
    expect(await call({}, { 'tools/call': answer })).toEqual({ isError: false });
    expect(methods()).toHaveLength(4);
  });

  it.each<[string, AnswerTo, boolean]>([
    ['a lost connection', () => lost, true],
    ['503', () => json(503, ''), true],
    ['an event stream that ends without an answer', () => stream('id: 7\n\n'), true],
    ['JSON that cannot be read', () => json(200, '{'), true],
    ['404', () => json(404, ''), false],
    ['an address that is refused', () => ({ ...lost, failureClass: 'refused_address' }), false],
    ['an error', ({ id }) => json(200, { jsonrpc: '2.0', id, error: { code: -32602, message: 'no' } }), false],
  ])('fails after %s, is not repeated, and says whether it may have been carried out', async (_, answer, wasSent) => {
    expect(await failure(call({}, { 'tools/call': answer }))).toMatchObject({ name: 'McpError', wasSent });
    expect(methods()).toEqual(['initialize', 'notifications/initialized', 'tools/call', 'DELETE']);
  });

  it.each<[string, AnswerTo]>([
    ['a lost connection', () => lost],
    ['503', () => json(503, '')],
    ['no answer', () => json(200, '')],
  ])('was not carried out when the session could not be opened: %s', async (_, answer) => {
    const error = await failure(call({}, { initialize: answer }));
    expect(error).toBeInstanceOf(McpError);
    expect(error).toMatchObject({ wasSent: false });
    expect(methods()).toEqual(['initialize']);
  });
});

describe('a server that speaks 2026-07-28 only', () => {
  const tool = {
    name: 'überweisen',
    inputSchema: { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } },
    run: () => 'refunded',
  };

  /** A session with a double, and the requests that it got. */
  async function sessionWith(double: McpDouble) {
    egress = new FakeEgress();
    egress.answer = ({ method, headers = {}, body }) => {
      const named = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
      const {
        status,
        headers: more,
        body: text,
      } = double.answer({ method, headers: named, body: String(body ?? '') } as never);
      return json(status, text, more);
    };
    const { signal } = new AbortController();
    const url = 'https://tools.example.com/mcp';
    return McpSession.open({ egress, url, headers: {}, timeoutMs: 1_000, maxBytes: 10_000, signal });
  }

  it.each(['json', 'stream'] as const)('is recognised where it refuses initialize, and answers as %s', async (as) => {
    const double = new McpDouble([tool, { name: 'other' }], as, 'stateless');
    const session = await sessionWith(double);
    expect((await session.tools()).map(({ name }) => name)).toEqual(['überweisen', 'other']);
    const result = await session.call('überweisen', { region: 'eu-1' }, 'effect-1', tool.inputSchema);
    session.close();
    expect(result).toMatchObject({ content: [{ type: 'text', text: 'refunded' }] });
    expect(double.effects).toEqual([{ tool: 'überweisen', args: { region: 'eu-1' }, key: 'effect-1' }]);
    expect(double.problems).toEqual([]);
    expect(methods()).toEqual(['initialize', 'server/discover', 'tools/list', 'tools/list', 'tools/call']);
    expect(egress.requests.at(-1)!.headers).toMatchObject({
      'Mcp-Method': 'tools/call',
      'Mcp-Param-Region': 'eu-1',
      'Idempotency-Key': 'effect-1',
    });
  });

  it.each([
    ['input_required', 'asks for input', false],
    ['task', 'unknown', true],
  ])('does not take a result of the type %s for the result of the tool', async (resultType, text, wasSent) => {
    const double = new McpDouble([tool], 'json', 'stateless');
    const session = await sessionWith(double);
    const { answer } = egress;
    egress.answer = (request) =>
      messageOf(request).method === 'tools/call'
        ? result(messageOf(request), JSON.stringify({ resultType }))
        : answer(request, 1);
    expect(await failure(session.call('überweisen', {}, 'effect-1'))).toMatchObject({
      message: expect.stringContaining(text),
      wasSent,
    });
  });

  it('is not looked for where the server is away, overloaded or wants other credentials', async () => {
    for (const status of [401, 403, 429, 500, 503]) {
      const opened = failure(call({}, { initialize: () => json(status, '') }));
      expect(await opened).toMatchObject({ message: `The MCP server answered ${status}.`, wasSent: false });
      expect(methods()).toEqual(['initialize']);
    }
  });

  it('names its versions where none of them is ours, and says what was refused where it has no discover', async () => {
    const refused = { jsonrpc: '2.0', id: 1, error: { code: -32022, message: 'Unsupported protocol version' } };
    const newer = await failure(
      call(
        {},
        {
          initialize: () => json(400, refused),
          'server/discover': (message) => result(message, '{"supportedVersions":["2031-01-01"]}'),
        },
      ),
    );
    expect(newer).toMatchObject({ message: expect.stringContaining('supports the protocol versions 2031-01-01') });
    const none = failure(call({}, { initialize: () => json(400, refused), 'server/discover': () => json(404, '') }));
    expect(await none).toMatchObject({ message: 'The MCP server answered 400: Unsupported protocol version' });
  });
});
