import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import pg from 'pg';

import { hmacSha256Hex } from '#libs/plugin-sdk/src/signatures.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { publishedAcrossDeath } from '../../support/answered.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { HttpDouble, SlackDouble } from '../../support/doubles/chat-doubles.js';
import { TestServer } from '../../support/server.js';

const SECRET = 'signing-secret-of-the-app';
const KEY = Buffer.alloc(32, 9).toString('base64');

let database: TestDatabase;
let slack: SlackDouble;
let server: TestServer;
let slug: string;
let bot: { readonly double: HttpDouble; readonly integration: string };

interface Listed {
  readonly id: string;
  readonly data: Record<string, unknown> & { readonly error?: { readonly code: string } };
}

const start = (more: Readonly<Record<string, string>> = {}): Promise<TestServer> =>
  TestServer.start({
    databaseUrl: database.url,
    env: { MILLRACE_SECRET_KEY: KEY, MILLRACE_ACTION_RETRY_SCHEDULE: '50ms,100ms', ...more },
  });

beforeAll(async () => {
  database = await createTestDatabase();
  slack = await SlackDouble.start();
  server = await start();
  ({ slug } = await server.post<{ slug: string }>('/api/v1/integrations', {
    name: 'chat',
    provider: 'slack',
    secret: SECRET,
    config: { botToken: SlackDouble.TOKEN, apiUrl: slack.apiUrl },
  }));
  await server.post('/api/v1/rules', {
    name: 'tell ops',
    eventType: 'webhook.received',
    conditions: { field: 'data.payload.tell', operator: 'equals', value: 'ops' },
    actions: [
      {
        type: 'send_message',
        with: { integration: 'chat', channel: '${{ data.payload.channel }}', text: '${{ data.payload.text }}' },
      },
    ],
  });
  await server.post('/api/v1/rules', {
    name: 'answer commands',
    eventType: 'command.invoked',
    actions: [{ type: 'send_message', with: { integration: 'chat', text: 'On it.', respond: true } }],
  });
  await server.post('/api/v1/rules', {
    name: 'answer messages',
    eventSource: 'slack',
    eventType: 'message.received',
    actions: [{ type: 'send_message', with: { integration: 'chat', text: 'You said: ${{ data.message.text }}' } }],
  });
  const double: HttpDouble = await HttpDouble.start(({ path, text, authorization }) => {
    if (path === '/token')
      return new URLSearchParams(text).get('client_secret') === 'password-of-the-bot'
        ? { status: 200, body: { access_token: 'token-of-the-bot', expires_in: 3600 } }
        : { status: 401, body: { error: 'invalid_client' } };
    return authorization === 'Bearer token-of-the-bot'
      ? { status: 201, body: { id: 'activity-7' } }
      : { status: 401, body: {} };
  });
  const { id } = await server.post<{ id: string }>('/api/v1/integrations', {
    name: 'teams',
    provider: 'botframework',
    config: { appId: 'app-1', appPassword: 'password-of-the-bot', tokenUrl: `${double.url}/token` },
  });
  bot = { double, integration: id };
});
afterAll(async () => {
  await server?.stop();
  await slack?.stop();
  await bot?.double.stop();
  await database?.drop();
});

const tell = (text: string, channel = '#ops') =>
  server.post<{ id: string }>('/api/v1/events', {
    type: 'webhook.received',
    source: 'tests',
    data: { provider: 'tests', payload: { tell: 'ops', text, channel } },
  });

async function fromSlack(body: string, contentType = 'application/json'): Promise<Response> {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const signature = hmacSha256Hex(SECRET, Buffer.from(`v0:${timestamp}:${body}`));
  return fetch(`${server.url}/api/v1/webhooks/inbound/${slug}`, {
    method: 'POST',
    headers: {
      'content-type': contentType,
      'x-slack-request-timestamp': timestamp,
      'x-slack-signature': `v0=${signature}`,
    },
    body,
  });
}

const outcome = (eventId: string) =>
  waitFor(
    'the outcome of the message',
    async () => {
      for (const type of ['message.sent', 'message.failed']) {
        const found = await server.list<Listed>(`/api/v1/events?type=${type}`);
        const ours = found.find(({ data }) => data['eventId'] === eventId);
        if (ours) return { type, ...ours };
      }
      return undefined;
    },
    () => server.output,
  );

/** Bytes as `row_to_json` writes them, in hex, as text. */
const unescaped = (line: string): string =>
  line.replace(/\\\\x((?:[0-9a-f]{2})+)/g, (_, hex: string) => Buffer.from(hex, 'hex').toString('utf8'));

const said = (text: string) => slack.messages.filter((message) => message.text === text);

describe('a message to Slack', () => {
  it('is sent, and its id is recorded', async () => {
    const { id } = await tell('the build is red');
    expect(await outcome(id)).toMatchObject({
      type: 'message.sent',
      data: { channel: 'C024BE91L', provider: 'slack' },
    });
    expect(said('the build is red')).toHaveLength(1);
    const { data } = await server.get<{ data: unknown[] }>('/api/v1/actions?type=send_message');
    expect(data).toEqual([]);
  });

  it('waits as long as Slack asks, and fails for good where another attempt cannot help', async () => {
    slack.next.push({ status: 429, headers: { 'retry-after': '1' } });
    const { id } = await tell('after the limit');
    expect((await outcome(id)).type).toBe('message.sent');
    expect(said('after the limit')).toHaveLength(1);
    const failed = await outcome((await tell('nobody hears this', '#nowhere')).id);
    expect(failed).toMatchObject({ type: 'message.failed', data: { error: { code: 'slack.channel_not_found' } } });
  });

  it('answers a command at its own address, which nobody is shown', async () => {
    const command = new URLSearchParams({
      command: '/deploy',
      text: 'staging',
      channel_id: 'C024BE91L',
      user_id: 'U1',
      trigger_id: `${Date.now()}.1`,
      response_url: slack.responseUrl,
    });
    const answer = await fromSlack(command.toString(), 'application/x-www-form-urlencoded');
    expect(answer.status).toBe(200);
    await waitFor('the answer', () => slack.replies.length > 0);
    expect(slack.replies).toMatchObject([{ body: { text: 'On it.' } }]);
    const events = await server.text('/api/v1/events?limit=200');
    expect(events).not.toContain('secret-of-the-reply');
    expect(events).not.toContain('"replyTo"');
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query<{ line: string }>('select row_to_json(events)::text as line from log.events');
    await client.end();
    const log = rows.map(({ line }) => unescaped(line)).join('\n');
    expect(log).toContain('/deploy');
    expect(log).not.toContain('secret-of-the-reply');
  });

  it('goes to where the event came from, and never answers itself', async () => {
    const message = (text: string, more: object) =>
      JSON.stringify({
        type: 'event_callback',
        event_id: `Ev${text}`,
        api_app_id: 'A1',
        event: { type: 'message', channel: 'C024BE92M', text, ts: '1732108400.000100', ...more },
      });
    await fromSlack(message('hello', { user: 'U1' }));
    await waitFor('the answer', () => said('You said: hello').length > 0);
    expect(said('You said: hello')).toMatchObject([{ channel: 'C024BE92M' }]);
    await fromSlack(message('echo', { bot_id: 'B1', app_id: 'A1' }));
    const failed = await waitFor('the refusal', async () =>
      (await server.list<Listed>('/api/v1/events?type=message.failed')).find(
        ({ data }) => data.error?.code === 'message.own',
      ),
    );
    expect(failed).toBeDefined();
    expect(said('You said: echo')).toEqual([]);
  });
});

interface Message {
  readonly id: string;
  readonly status: string;
  readonly [field: string]: unknown;
}
const ended = (id: string) =>
  waitFor('the message to be sent or to fail', async () => {
    const found = await server.get<Message>(`/api/v1/messages/${id}`);
    return found.status !== 'pending' && found;
  });

describe('a message that is sent through the API', () => {
  it('is pending, then sent, and found by its status, integration and event', async () => {
    const blocks = [{ type: 'divider' }];
    const body = { integration: 'chat', channel: '#ops', text: `by hand ${'x'.repeat(1_500)}`, blocks };
    const made = await server.post<Message>('/api/v1/messages', body);
    expect(made).toMatchObject({ ...body, error: null, requestedBy: { kind: 'manual' } });
    expect(await ended(made.id)).toMatchObject({
      ...body,
      status: 'sent',
      channel: 'C024BE91L',
      attempts: 1,
      provider: 'slack',
    });
    expect(said(body.text)).toHaveLength(1);
    const listed = await server.list<Message>('/api/v1/messages?status=sent&integration=chat');
    expect(listed[0]).toMatchObject({ id: made.id, text: body.text.slice(0, 1_000) });
    const { id: eventId } = await tell('found by its event');
    const found = await waitFor('the message to be listed as sent', async () => {
      const [message] = await server.list<Message>(`/api/v1/messages?eventId=${eventId}`);
      return message?.status === 'sent' && message;
    });
    expect(found).toMatchObject({ text: 'found by its event', requestedBy: { kind: 'rule' }, eventId });
    const failed = await server.post<Message>('/api/v1/messages', { ...body, channel: '#nowhere' });
    expect(await ended(failed.id)).toMatchObject({ status: 'failed', error: { code: 'slack.channel_not_found' } });
  });

  it.each<[object, string, string]>([
    [{ integration: 'caht' }, '/integration', 'Did you mean ..chat'],
    [{ channel: '' }, '/channel', 'Must be a string of 1 to 500 characters'],
    [{ text: undefined }, '/text', 'required'],
    [{ colour: 'red' }, '/colour', 'colour'],
  ])('is refused at once with %j', async (changes, pointer, detail) => {
    const body = { integration: 'chat', channel: '#ops', text: 'hi', ...changes };
    await expect(server.call('POST', '/api/v1/messages', body)).rejects.toThrow(
      new RegExp(`answered 422: .*"pointer":"${pointer}","detail":"[^}]*${detail}`),
    );
  });

  it.each(['messages.before-request', 'messages.after-request'])(
    'is sent once where the process dies at %s and the request comes again',
    async (point) => {
      await server.stop();
      server = await start({ MILLRACE_CRASH_AT: point });
      const body = { integration: 'chat', channel: '#ops', text: `by hand, in spite of ${point}` };
      const asked = await publishedAcrossDeath(server, () => start(), point, body, '/api/v1/messages');
      server = asked.server;
      expect(await ended(asked.id)).toMatchObject({ status: 'sent' });
      expect(said(body.text)).toHaveLength(1);
    },
  );
});

describe('a message to Bot Framework', () => {
  it('needs a conversation whose connector is known', async () => {
    await server.call('PUT', '/api/v1/workflows/tell-teams', {
      source: [
        'name: tell-teams',
        'triggers: [{ type: manual, inputs: { channel: { type: string }, text: { type: string } } }]',
        'steps:',
        '  - id: tell',
        '    uses: send_message',
        "    with: { integration: teams, channel: '${{ inputs.channel }}', text: '${{ inputs.text }}' }",
        "outputs: { id: '${{ steps.tell.output.messageId }}' }",
        '',
      ].join('\n'),
    });
    interface Run {
      readonly id: string;
      readonly status: string;
      readonly outputs?: unknown;
      readonly error?: { readonly code: string };
    }
    const run = async (inputs: object): Promise<Run> => {
      const { id } = await server.post<{ id: string }>('/api/v1/workflows/tell-teams/runs', { inputs });
      return waitFor('the end of the run', async () => {
        const found = await server.get<Run>(`/api/v1/runs/${id}`);
        return ['completed', 'failed'].includes(found.status) && found;
      });
    };
    // No connector serves it: nothing is asked for.
    expect(await run({ channel: 'anything', text: 'hi' })).toMatchObject({
      status: 'failed',
      error: { code: 'message.no_service_url' },
    });
    expect(bot.double.calls).toEqual([]);
  });
});

describe.each(['actions.message-begun', 'actions.message-sent', 'actions.message-recorded'])(
  'a process that dies at %s',
  (point) => {
    it('leaves a message that is sent once', async () => {
      await server.stop();
      server = await start({ MILLRACE_CRASH_AT: point });
      const published = await publishedAcrossDeath(server, () => start(), point, {
        type: 'webhook.received',
        source: 'tests',
        data: { provider: 'tests', payload: { tell: 'ops', text: `once, in spite of ${point}`, channel: '#ops' } },
      });
      server = published.server;
      expect((await outcome(published.id)).type).toBe('message.sent');
      expect(said(`once, in spite of ${point}`)).toHaveLength(1);
    });
  },
);
