import { headerRefusal } from '#libs/egress/src/headers.js';
import { catalogue, type EventType } from '#libs/events/src/catalogue.js';
import { hearsItself, heardAgain, typesAfter } from '#libs/events/src/consequences.js';
import { typeMatcher } from '#libs/events/src/patterns.js';
import type { WebhookChanges, WebhookSettings } from '#libs/events/src/shapes/webhook-shape.js';
import { compile } from '#libs/expressions/src/compile.js';
import { eventSchema } from '#libs/expressions/src/event-schema.js';
import { lint } from '#libs/expressions/src/lint.js';
import { type Problem, Rejected } from '#libs/kernel/src/errors.js';
import { pointerToken } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';
import type { Problems } from '#libs/kernel/src/problems.js';
import { previousHeader, SIGNATURE_HEADER } from '#libs/plugin-sdk/src/signature-headers.js';
import { STANDARD_SECRET_PREFIX } from '#libs/plugin-sdk/src/standard-webhooks.js';
import type { OrganisationVocabulary } from '#libs/vocabulary/src/vocabulary.js';

import { periodRefusal, rateOf } from './rate-limit.js';
import { secretRefusal } from './signing.js';

const PATTERN = /^[a-z0-9_*]+(?:\.[a-z0-9_*]+)*$/;
const MAX_HEADERS = 20;

/** Headers that tell who is speaking: nobody may set them to something else. */
const RESERVED = /^(?:x-millrace-.*|webhook-(?:id|timestamp|signature)|content-type|user-agent|accept-encoding)$/i;

/**
 * What there is to check of a webhook beyond its shape.
 * @param urlRefusal why a URL may not be called.
 * @param signatureHeader that it has already, where it is changed.
 */
export const webhookCheck =
  (urlRefusal: (url: string) => string | undefined, signatureHeader?: string) =>
  (given: WebhookChanges, problems: Problems): void => {
    const add = (pointer: string, detail: string | undefined): void => {
      if (detail !== undefined) problems.add(pointer, detail);
    };
    const url = problems.part(given, 'url');
    if (url !== undefined) add('/url', urlRefusal(url));
    problems.part(given, 'events')?.forEach((pattern, index) => {
      if (!PATTERN.test(pattern) || pattern.length > 100)
        add(
          `/events/${index}`,
          'Must be an event type such as issue.created, a glob such as pr.*, or * for all but system types.',
        );
    });
    const secret = problems.part(given, 'secret');
    if (secret !== undefined) add('/secret', secretRefusal(secret));
    const filter = problems.part(given, 'filter');
    if (filter !== undefined) add('/filter', filterRefusal(filter));
    const own = problems.part(given, 'signatureHeader');
    const headers = problems.part(given, 'headers');
    if (headers) checkOwnHeaders(headers, own ?? signatureHeader ?? SIGNATURE_HEADER, add);
    if (own !== undefined) add('/signatureHeader', signatureHeaderRefusal(own));
    const rateLimit = problems.part(given, 'rateLimit');
    if (rateLimit !== undefined) add('/rateLimit/per', periodRefusal(rateOf(rateLimit)));
  };

/**
 * Allowed, but probably not intended.
 * @param secret where a new one was given.
 * @param own event types of the organisation's own.
 */
export function warningsOf(
  { events, allowRecursion, filter }: Pick<WebhookSettings, 'events' | 'allowRecursion' | 'filter'>,
  secret?: string | null,
  own: OrganisationVocabulary['eventTypes'] = new Map(),
): Problem[] {
  const types = [...Object.keys(catalogue), ...own.keys()];
  const warnings = events.flatMap((pattern, index) => {
    const pointer = `/events/${index}`;
    const listens = typeMatcher([pattern]);
    const again = allowRecursion === true ? [] : heardAgain(listens, typesAfter('send_webhook'));
    if (again.length > 0) return [{ pointer, detail: hearsItself('webhook', again) }];
    if (types.some(listens)) return [];
    const detail = `No event type fits "${pattern}". ${suggestion(pattern, types)}`.trim();
    return [{ pointer, detail }];
  });
  if (filter !== undefined) warnings.push(...filterWarnings(filter, typeMatcher(events), own));
  if (typeof secret === 'string' && !secret.startsWith(STANDARD_SECRET_PREFIX))
    warnings.push({ pointer: '/secret', detail: NOT_STANDARD });
  return warnings;
}

/** Fields that none of the types has, and what JMESPath reads in another way than it looks. */
function filterWarnings(
  filter: string,
  wants: (type: string) => boolean,
  own: OrganisationVocabulary['eventTypes'],
): Problem[] {
  const schemas = [...own].flatMap(([type, { schema }]) => (wants(type) ? [schema] : []));
  const types = (Object.keys(catalogue) as EventType[]).filter(wants);
  const schema = types.length + schemas.length === 0 ? {} : { schema: eventSchema(types, schemas) };
  return lint(filter, schema).map(({ code, message, column }) => ({
    pointer: '/filter',
    code,
    detail: message,
    column,
  }));
}

const NOT_STANDARD =
  'Standard Webhooks libraries cannot verify webhook-signature with this secret: they need whsec_ and base64. ' +
  'Leave the secret out to get one; X-Millrace-Signature and verifyWebhook work with any secret.';

function checkOwnHeaders(
  headers: Readonly<Record<string, unknown>>,
  signatureHeader: string,
  add: (pointer: string, detail: string | undefined) => void,
): void {
  const names = Object.keys(headers);
  const ours = [signatureHeader, previousHeader(signatureHeader)].map((name) => name.toLowerCase());
  if (names.length > MAX_HEADERS) add('/headers', `Must be at most ${MAX_HEADERS} headers. There are ${names.length}.`);
  const seen = new Set<string>();
  for (const name of names) {
    const value = headers[name];
    const pointer = `/headers/${pointerToken(name)}`;
    if (typeof value !== 'string') add(pointer, 'Must be a string.');
    else if (RESERVED.test(name) || ours.includes(name.toLowerCase()))
      add(pointer, 'Must be removed: Millrace sets this header.');
    else if (seen.has(name.toLowerCase()))
      add(pointer, 'Must be given once: header names that differ by case alone are the same.');
    else add(pointer, headerRefusal(name, value));
    seen.add(name.toLowerCase());
  }
}

function signatureHeaderRefusal(name: string): string | undefined {
  if (name.toLowerCase() === SIGNATURE_HEADER.toLowerCase()) return undefined;
  return RESERVED.test(name) ? 'Must be another name: this header is already used.' : headerRefusal(name, '');
}

function filterRefusal(filter: string): string | undefined {
  try {
    compile(filter);
    return undefined;
  } catch (error) {
    if (error instanceof Rejected) return error.message;
    throw error;
  }
}
