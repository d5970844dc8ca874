import { readFileSync } from 'node:fs';

import type { JsonObject } from '#libs/kernel/src/json.js';
import { headersOf, parseHttpFile } from '#libs/plugin-sdk/src/http-file.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';

import { githubPayload, githubPush, githubRequest } from '../../support/github.js';
import type { OpenIdStandIn } from '../../support/openid.js';

/** Somebody who sends webhooks: how the integration is set up, and one request as it goes over the wire. */
export interface Sender {
  readonly name: string;
  readonly provider: string;
  readonly secret: string | undefined;
  readonly config: JsonObject;
  /** Where it is received: `{slug}` and `{id}` are those of the integration. */
  readonly path: string;
  readonly request: () => Promise<{ readonly headers: Record<string, string>; readonly body: Buffer }>;
  /** What the platform makes of it, and what the sender is answered. */
  readonly becomes: string;
  readonly answer: number;
}

const SECRET = 'whsec_ZGVtby1zZWNyZXQtMDEyMzQ1Njc4OWFiY2RlZg==';
const APP_ID = '00000000-0000-0000-0000-00000000b07a';
const INBOUND = '/api/v1/webhooks/inbound/{slug}';

/** A saved request of the provider's own tests, signed now with the secret of the demo. */
function saved(
  name: string,
  provider: string,
  fixture: string,
  more: Pick<Sender, 'becomes'> & Partial<Sender>,
): Sender {
  const file = parseHttpFile(
    readFileSync(new URL(`../../../libs/providers/fixtures/${fixture}.http`, import.meta.url)),
  );
  const { sign } = builtInProviders.providers!.find((one) => one.name === provider)!;
  const request = async () => {
    const context = { secrets: [SECRET], config: {}, now: new Date() };
    const proof = sign?.({ headers: headersOf(file), rawBody: file.body }, context) ?? {};
    return { headers: { ...headersOf(file), ...proof }, body: file.body };
  };
  return { name, provider, secret: SECRET, config: {}, path: INBOUND, answer: 202, request, ...more };
}

const fromGitHub = (name: string, event: string, payload: object, becomes: string): Sender => ({
  name,
  provider: 'github',
  secret: SECRET,
  config: {},
  path: INBOUND,
  answer: 202,
  becomes,
  request: async () => {
    const { headers, body } = githubRequest(event, payload, SECRET, `demo-${event}`);
    return { headers, body: Buffer.from(body) };
  },
});

/** One for each provider, with payloads as their senders' own documentation shows them. */
export function senders(openId: OpenIdStandIn): readonly Sender[] {
  const bot = saved('Teams message', 'botframework', 'botframework/message', { becomes: 'message.received' });
  return [
    fromGitHub('GitHub push', 'push', githubPush(), 'git.push'),
    fromGitHub('GitHub pull request', 'pull_request', githubPayload('pull_request', 0), 'pr.opened'),
    saved('GitLab push', 'gitlab', 'gitlab-signed/push', { becomes: 'git.push' }),
    saved('Slack message', 'slack', 'slack/message', {
      becomes: 'message.received',
      path: '/api/communicator/webhook/{id}',
      answer: 200,
    }),
    {
      ...bot,
      secret: undefined,
      config: { ...openId.config(APP_ID) },
      path: '/api/communicator/botframework/{id}/messages',
      request: async () => {
        const { headers, body } = await bot.request();
        const { serviceUrl } = JSON.parse(body.toString()) as { serviceUrl: string };
        return { headers: { ...headers, authorization: await openId.authorization(APP_ID, serviceUrl) }, body };
      },
    },
    saved('Standard Webhooks', 'standard_webhooks', 'standard_webhooks/unknown-type', { becomes: 'webhook.received' }),
    saved('CloudEvents', 'cloudevents', 'cloudevents/structured', { becomes: 'webhook.received' }),
    saved('Anything else', 'generic_webhook', 'generic_webhook/alert', { becomes: 'webhook.received' }),
  ];
}
