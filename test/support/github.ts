import { createHmac, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';

interface Example {
  readonly name: string;
  readonly examples: readonly Record<string, unknown>[];
}
const examples = createRequire(import.meta.url)('@octokit/webhooks-examples') as Example[];

/** A payload as GitHub itself documents it. */
export function githubPayload(name: string, index = 0): Record<string, unknown> {
  const found = examples.find((example) => example.name === name)?.examples[index];
  if (!found) throw new Error(`no example ${name}[${index}]`);
  return found;
}

/** A push to a branch, 6.9 KB as GitHub sends it. */
export const githubPush = (branch = 'main'): Record<string, unknown> => ({
  ...githubPayload('push', 0),
  ref: `refs/heads/${branch}`,
});

export interface SignedRequest {
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly deliveryId: string;
}

/** A request as GitHub sends it. */
export function githubRequest(
  event: string,
  payload: unknown,
  secret: string,
  deliveryId: string = randomUUID(),
): SignedRequest {
  const body = JSON.stringify(payload);
  return {
    deliveryId,
    body,
    headers: {
      'content-type': 'application/json',
      'user-agent': 'GitHub-Hookshot/044aadd',
      'x-github-event': event,
      'x-github-delivery': deliveryId,
      'x-hub-signature-256': signatureOf(body, secret),
    },
  };
}

/** `X-Hub-Signature-256` of a body. */
export const signatureOf = (body: string, secret: string): string =>
  `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;

export const send = (url: string, request: SignedRequest): Promise<Response> =>
  fetch(url, { method: 'POST', headers: request.headers, body: request.body });
