import { fail, ok, strictEqual } from 'node:assert/strict';

import type { InboundRequest, Normalised, Provider, ProviderContext } from '../src/define-provider.js';
import { headersOf, parseHttpFile } from '../src/http-file.js';
import { BodyFault, mediaTypeOf, parseBody } from '../src/body/inbound-body.js';

export const NO_VALUE = { value: null, kind: 'json' } as const;
export const NO_REQUEST: InboundRequest = {
  headers: {},
  rawBody: Buffer.alloc(0),
  query: {},
  contentType: 'application/json',
  sourceIp: '203.0.113.7',
};

export function requestOf(bytes: Buffer, name: string): InboundRequest {
  try {
    const file = parseHttpFile(bytes);
    const headers = headersOf(file);
    const query = Object.fromEntries(new URL(file.target, 'http://localhost').searchParams);
    return { ...NO_REQUEST, headers, rawBody: file.body, query, contentType: mediaTypeOf(headers['content-type']) };
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
  }
}

export function valuesOf(request: InboundRequest, provider: Provider) {
  const parsed = parseBody(request, provider.anyBody);
  if (parsed instanceof BodyFault) fail(`the platform does not read this body: ${parsed.code}: ${parsed.detail}`);
  return parsed.values.map(({ value }) => ({ value, kind: parsed.kind }));
}

/** What the provider makes of each value of the body, as the platform asks it. */
export function understood(
  provider: Provider,
  request: InboundRequest,
  context: ProviderContext,
): readonly Normalised[] {
  return valuesOf(request, provider).map((value) => {
    const made = provider.normalise({ ...value, request }, context);
    if ('unreadable' in made) fail(`unreadable: ${made.unreadable}`);
    inShape(made);
    return made;
  });
}

export function answerTo(provider: Provider, request: InboundRequest, context: ProviderContext) {
  const [value] = valuesOf(request, provider);
  return provider.respond?.({ ...value!, request }, { eventIds: ['evt_1'], duplicate: false }, context);
}

/** As the platform wants it; it must be at once, not a promise. */
export function inShape(made: ReturnType<Provider['normalise']>): void {
  if ('unreadable' in made) return strictEqual(typeof made.unreadable, 'string');
  ok(typeof made.eventType === 'string' && made.eventType !== '', 'eventType is a text');
  ok(made.deliveryId === undefined || typeof made.deliveryId === 'string', 'deliveryId is a text or absent');
  ok(Array.isArray(made.events), 'events is a list');
  for (const { type, subject, data } of made.events) {
    ok(typeof type === 'string' && typeof subject === 'string', 'an event has a type and a subject');
    ok(typeof data === 'object' && data !== null && !Array.isArray(data), 'data of an event is an object');
    JSON.stringify(data);
  }
}

/** As JSON: a runner that keeps tests in realms of their own gives its arrays other prototypes than Node's. */
export const sameJson = (actual: unknown, wanted: unknown, message?: string): void =>
  strictEqual(JSON.stringify(actual, null, 1), JSON.stringify(wanted, null, 1), message);

/** Ids of the deliveries of a request: lines and elements with the same id are parts of one. */
export const deliveriesOf = (elements: readonly Normalised[]): readonly string[] => [
  ...new Set(elements.flatMap(({ deliveryId }) => deliveryId ?? [])),
];
