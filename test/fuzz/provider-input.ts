import { ok } from 'node:assert/strict';

import { problemsOf } from '#libs/events/src/check.js';
import type { InboundBody, Provider, ProviderContext } from '#libs/plugin-sdk/src/define-provider.js';
import { BodyFault, parseBody } from '#libs/plugin-sdk/src/body/inbound-body.js';
import { isInboundType } from '#libs/plugin-sdk/src/inbound-types.js';

import { NOW, requestOf, type Target } from './corpus.js';
import { mutatedBody, mutatedHeaders } from './mutate.js';
import { Random } from './random.js';

/**
 * Gives a provider the input of this number: a saved request with changes, verified, and normalised and answered as if it
 * had been believed.
 * @returns what became of it, in a word.
 * @throws Error for what no input may bring about.
 */
export async function tryProvider(target: Target, seed: number): Promise<string> {
  const random = new Random(seed, target.name);
  const { provider, secret, config, http } = target;
  const context: ProviderContext = { secrets: secret === undefined ? [] : [secret], config, now: NOW, http };
  const { file } = random.pick(target.saved);
  const body = random.once(6) ? file.body : mutatedBody(file, random);
  const headers = random.once(2) ? file.headers : mutatedHeaders(file.headers, random);
  const request = requestOf({ ...file, headers, body });

  const verdict = await provider.verify(request, context);
  ok(typeof verdict.ok === 'boolean', 'verify gave no verdict');
  const isChanged = target.saved.every((other) => !other.file.body.equals(body));
  ok(!(verdict.ok && isChanged && target.signsBody), 'a body that nobody signed was believed');
  if (provider.sign && secret !== undefined) await isBelievedAnew(provider, request, context);

  const parsed = parseBody(request);
  if (parsed instanceof BodyFault) {
    ok(parsed.status < 500, `the body's fault is ${parsed.status}`);
    return parsed.code;
  }
  for (const { value, text } of parsed.values) {
    JSON.parse(text);
    made(target, { value, kind: parsed.kind, request }, context);
  }
  ok(!('polluted' in {}), 'the prototype of all objects was changed');
  return verdict.ok ? 'believed' : verdict.reason;
}

/** What the provider signs it has to believe, whatever the bytes are. */
async function isBelievedAnew(
  provider: Provider,
  request: InboundBody['request'],
  context: ProviderContext,
): Promise<void> {
  const headers = { ...request.headers, ...provider.sign!(request, context) };
  const verdict = await provider.verify({ ...request, headers }, context);
  ok(verdict.ok, 'it does not believe what it has signed itself');
}

function made({ provider, passesOn }: Target, body: InboundBody, context: ProviderContext): void {
  const normalised = provider.normalise(body, context);
  if ('unreadable' in normalised) return ok(typeof normalised.unreadable === 'string', 'unreadable is no text');
  const { deliveryId, eventType, action, retry, events } = normalised;
  ok(typeof eventType === 'string' && eventType !== '', 'eventType is no text');
  for (const optional of [deliveryId, action, retry])
    ok(optional === undefined || typeof optional === 'string', 'deliveryId, action or retry is no text');
  ok(Array.isArray(events) && events.length <= 100, 'events is no short list');
  for (const { type, subject, data } of events) {
    ok(typeof subject === 'string', 'subject is no text');
    ok(isInboundType(type), `${type} may not come from outside`);
    if (passesOn) continue;
    const [problem] = problemsOf(type, JSON.parse(JSON.stringify(data)));
    ok(problem === undefined, `data of ${type} is not as its schema says: ${problem?.pointer} ${problem?.detail}`);
  }
  const answer = provider.respond?.(body, { eventIds: ['evt_1'], duplicate: false }, context);
  ok(answer === undefined || (answer.status >= 200 && answer.status < 300), 'the answer is no success');
  ok(answer === undefined || typeof answer.body === 'string', 'the body of the answer is no text');
}
