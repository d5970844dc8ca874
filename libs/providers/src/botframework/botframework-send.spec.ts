import { beforeEach, describe, expect, it } from '@jest/globals';

import type { SendContext } from '#libs/plugin-sdk/src/services/define-messenger.js';
import type { StepHttp, StepHttpOutcome } from '#libs/plugin-sdk/src/define-step.js';
import type { JsonObject } from '#libs/plugin-sdk/src/fields.js';

import { botframeworkMessenger } from './botframework-send.js';

type Call = Parameters<StepHttp['request']>[0];

let calls: Call[];
let answers: { readonly status: number; readonly body: object; readonly headers?: Record<string, string> }[];
const http: StepHttp = {
  request: (call) => {
    calls.push(call);
    const { status, body, headers = {} } = answers.shift() ?? { status: 500, body: {} };
    const answer: StepHttpOutcome = {
      kind: 'response',
      status,
      headers: { 'content-type': 'application/json', ...headers },
      body: Buffer.from(JSON.stringify(body)),
      truncated: false,
      latencyMs: 1,
    };
    return Promise.resolve(answer);
  },
};
beforeEach(() => {
  calls = [];
  answers = [];
});

let apps = 0;
const contextOf = (config: JsonObject): SendContext => ({
  config,
  idempotencyKey: '0195cbd0-b41c-7f04-8ee0-aa2a0e71b0aa',
  since: new Date('2026-11-20T09:00:00Z'),
  now: new Date('2026-11-20T09:00:00Z'),
  timeoutMs: 1000,
  signal: new AbortController().signal,
  http,
});
/** Another app for each test: tokens are kept. */
const context = () => contextOf({ appId: `app-${++apps}`, appPassword: 'p&ss=word' });

const event: JsonObject = {
  payload: {
    id: '1795180454900',
    serviceUrl: 'https://smba.trafficmanager.net/emea/',
    conversation: { id: '19:abc@thread.tacv2;messageid=1795180454900' },
    from: { id: '29:user' },
    recipient: { id: '28:bot', name: 'Bot' },
  },
};
const token = { status: 200, body: { access_token: 'the-token', expires_in: 3600 } };

describe('a message through the Bot Connector', () => {
  it('replies in the conversation of the activity, with a token that is used again', async () => {
    answers = [token, { status: 201, body: { id: 'a-1' } }, { status: 201, body: { id: 'a-2' } }];
    const bot = context();
    expect(await botframeworkMessenger.send!({ text: 'Hello', event }, bot)).toMatchObject({ messageId: 'a-1' });
    await botframeworkMessenger.send!({ text: 'Again', event }, bot);
    const [asked, sent, again] = calls;
    expect(calls).toHaveLength(3);
    expect(new URLSearchParams(String(asked!.body)).get('client_secret')).toBe('p&ss=word');
    expect(sent!.url).toBe(
      'https://smba.trafficmanager.net/emea/v3/conversations/19%3Aabc%40thread.tacv2%3Bmessageid%3D1795180454900/activities/1795180454900',
    );
    expect(sent!.headers['authorization']).toBe('Bearer the-token');
    expect(JSON.parse(String(sent!.body))).toMatchObject({
      type: 'message',
      text: 'Hello',
      from: { id: '28:bot' },
      recipient: { id: '29:user' },
      replyToId: '1795180454900',
    });
    expect(again!.headers['authorization']).toBe('Bearer the-token');
  });

  it('gets a new token once where the connector refuses the one that it has', async () => {
    answers = [token, { status: 401, body: {} }, token, { status: 200, body: { id: 'a-3' } }];
    expect(await botframeworkMessenger.send!({ text: 'Hello', event }, context())).toMatchObject({ messageId: 'a-3' });
    expect(calls).toHaveLength(4);
  });

  it.each([
    ['no token is given', [{ status: 401, body: { error: 'invalid_client' } }], 'botframework.no_token', false],
    ['the limit is reached', [token, { status: 429, body: {}, headers: { 'retry-after': '7' } }], 'http.429', true],
    ['the bot is not in the conversation', [token, { status: 403, body: {} }], 'http.403', false],
    ['the connector fails', [token, { status: 502, body: {} }], 'http.502', true],
  ])('fails where %s', async (_, given, code, retryable) => {
    answers = given;
    await expect(botframeworkMessenger.send!({ text: 'Hello', event }, context())).rejects.toMatchObject({
      code,
      retryable,
    });
  });

  it.each([
    ['there is no password', {}, { text: 'x', event }, 'botframework.no_password'],
    ['there is no conversation', { appPassword: 'p' }, { text: 'x' }, 'message.no_channel'],
    ['no connector is known', { appPassword: 'p' }, { text: 'x', channel: 'abc' }, 'message.no_service_url'],
  ])('sends nothing where %s', async (_, config, message, code) => {
    await expect(botframeworkMessenger.send!(message, contextOf({ appId: 'none', ...config }))).rejects.toMatchObject({
      code,
    });
    expect(calls).toEqual([]);
  });

  it('uses the connector of Teams for a conversation of Teams', async () => {
    answers = [token, { status: 201, body: { id: 'a-4' } }];
    await botframeworkMessenger.send!({ text: 'Hello', channel: '19:abc@thread.tacv2' }, context());
    expect(calls[1]!.url).toBe(
      'https://smba.trafficmanager.net/teams/v3/conversations/19%3Aabc%40thread.tacv2/activities',
    );
  });
});
