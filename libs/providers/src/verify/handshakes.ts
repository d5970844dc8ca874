import { createHmac } from 'node:crypto';

import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { timingSafeEqual } from '#libs/plugin-sdk/src/signatures.js';
import type { HandshakeOutcome, InboundRequest, ProviderContext } from '#libs/plugin-sdk/src/define-provider.js';
import { fieldsOf, textOf } from '#libs/plugin-sdk/src/fields.js';
import type { EchoHandshake } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';

import type { DeclaredSender } from './declared-sender.js';

import { isSnsUrl } from './proofs/sns.js';
import { sourcesOf } from './request/sources.js';
import type { RequestView } from './request/views.js';

/** What is given back to a sender is short: nobody can use us to publish what they like. */
const MAX_ECHO_BYTES = 1_024;
const CONFIRM_WITHIN_MS = 3_600_000;

const text = (body: string): HandshakeOutcome =>
  Buffer.byteLength(body) > MAX_ECHO_BYTES
    ? { kind: 'refused', status: 400, detail: `The challenge must have at most ${MAX_ECHO_BYTES} bytes.` }
    : { kind: 'answered', status: 200, contentType: 'text/plain; charset=utf-8', body };

function json(value: Readonly<Record<string, string | number>>): HandshakeOutcome {
  const body = stringifyJson(value);
  return Buffer.byteLength(body) > 2 * MAX_ECHO_BYTES
    ? { kind: 'refused', status: 400, detail: `The challenge must have at most ${MAX_ECHO_BYTES} bytes.` }
    : { kind: 'answered', status: 200, contentType: 'application/json', body };
}

/**
 * Answers a request with which a sender checks the address; `undefined` for any other, which is received as usual.
 * Nothing of it is stored, and nothing is signed or adopted for anybody who has not proved to be the sender.
 */
export async function answerHandshake(
  sender: DeclaredSender,
  request: InboundRequest,
  context: ProviderContext,
): Promise<HandshakeOutcome | undefined> {
  const { handshake } = sender.declaration;
  if (!handshake) return undefined;
  const view = sender.view(request, context);
  const body = () => fieldsOf(view.value);
  const whereProved = async (answer: () => HandshakeOutcome): Promise<HandshakeOutcome> => {
    const verdict = await sender.verify(request, context);
    return verdict.ok ? answer() : { kind: 'unproved', verdict };
  };
  switch (handshake.kind) {
    case 'echo':
      return echo(handshake, view, whereProved);
    case 'head':
      return view.method === 'HEAD' ? { kind: 'answered', status: 200, body: '' } : undefined;
    case 'zoom': {
      if (view.method !== 'POST' || body()['event'] !== 'endpoint.url_validation') return undefined;
      const plainToken = textOf(fieldsOf(body()['payload'])['plainToken']);
      // Of several secrets the one that the sender has signed with: the answer is checked with it.
      for (const secret of context.secrets)
        if ((await sender.verify(request, { ...context, secrets: [secret] })).ok) return zoomToken(plainToken, secret);
      return whereProved(() => ({ kind: 'refused', status: 400, detail: 'Send the challenge again.' }));
    }
    case 'discord':
      if (view.method !== 'POST') return undefined;
      if (body()['type'] === 1 && body()['event'] === undefined) return whereProved(() => json({ type: 1 }));
      if (body()['type'] === 0) return whereProved(() => ({ kind: 'answered', status: 204, body: '' }));
      return undefined;
    case 'asana': {
      const offered = view.header('x-hook-secret');
      if (view.method !== 'POST' || offered === undefined || offered === '') return undefined;
      if (Buffer.byteLength(offered) > MAX_ECHO_BYTES) return text(offered);
      return { kind: 'adopt', secret: offered, headers: { 'x-hook-secret': offered } };
    }
    case 'notion': {
      const token = textOf(body()['verification_token']);
      if (view.method !== 'POST' || token === undefined || Object.keys(body()).length > 1) return undefined;
      return Buffer.byteLength(token) > MAX_ECHO_BYTES ? text(token) : { kind: 'adopt', secret: token, shown: true };
    }
    case 'sns': {
      if (view.method !== 'POST' || body()['Type'] !== 'SubscriptionConfirmation') return undefined;
      const url = textOf(body()['SubscribeURL']) ?? '';
      const at = Date.parse(textOf(body()['Timestamp']) ?? '');
      return whereProved(() =>
        Math.abs(context.now.getTime() - at) <= CONFIRM_WITHIN_MS
          ? { kind: 'confirm', url, isSafe: isSnsUrl(url) }
          : { kind: 'unproved', verdict: { ok: false, reason: 'stale' } },
      );
    }
  }
}

async function echo(
  { method, from, as, require = {}, proved = false }: EchoHandshake,
  view: RequestView,
  whereProved: (answer: () => HandshakeOutcome) => Promise<HandshakeOutcome>,
): Promise<HandshakeOutcome | undefined> {
  if (view.method !== method) return undefined;
  const inBody = !/^(?:query|header|hash):/.test(from);
  const value = inBody ? view.value : null;
  // A challenge in the body stands there alone: an event with such a field is an event.
  if (inBody && Object.keys(fieldsOf(value)).length !== 1) return undefined;
  const place = { value, index: undefined };
  const challenge = sourcesOf(from)(view, place);
  if (challenge === undefined || challenge === '') return undefined;
  for (const [source, wanted] of Object.entries(require))
    // A value that is configured and gone must not let everybody in.
    if (wanted === '' || !timingSafeEqual(sourcesOf(source)(view, place) ?? '', wanted))
      return {
        kind: 'refused',
        status: 403,
        detail: `${source} does not have the value that this integration expects.`,
      };
  const answer = (): HandshakeOutcome =>
    Buffer.byteLength(challenge) > MAX_ECHO_BYTES || as === 'text' ? text(challenge) : json({ [as]: challenge });
  return proved ? whereProved(answer) : answer();
}

function zoomToken(plainToken: string | undefined, secret: string): HandshakeOutcome {
  if (plainToken === undefined)
    return { kind: 'refused', status: 400, detail: 'payload.plainToken must be a string that is not empty.' };
  if (Buffer.byteLength(plainToken) > MAX_ECHO_BYTES) return text(plainToken);
  return json({ plainToken, encryptedToken: createHmac('sha256', secret).update(plainToken).digest('hex') });
}
