import { headerRefusal } from '#libs/egress/src/headers.js';
import { catalogue } from '#libs/events/src/catalogue.js';
import { globMatcher } from '#libs/events/src/patterns.js';
import { compile } from '#libs/expressions/src/compile.js';
import { type Problem, Rejected } from '#libs/kernel/src/errors.js';
import { suggestion } from '#libs/kernel/src/nearest.js';

import { secretRefusal, SIGNATURE_HEADER } from './signing.js';

/** What a caller says of a webhook; `null` takes an optional part away. */
export interface GivenWebhook {
  readonly url?: string;
  readonly events?: readonly string[];
  readonly secret?: string | null;
  readonly filter?: string | null;
  readonly headers?: Readonly<Record<string, unknown>> | null;
  readonly signatureHeader?: string | null;
  readonly rateLimit?: unknown;
}

const PATTERN = /^[a-z0-9_*]+(?:\.[a-z0-9_*]+)*$/;
const MAX_HEADERS = 20;

/** Headers that tell who is speaking: nobody may set them to something else. */
const RESERVED = /^(?:x-millrace-.*|webhook-(?:id|timestamp|signature)|content-type|user-agent|accept-encoding)$/i;

/**
 * Everything that is wrong with a webhook, each with where it is.
 * @param urlRefusal why a URL may not be called.
 * @throws Rejected `webhook.invalid`
 */
export function checkWebhook(given: GivenWebhook, urlRefusal: (url: string) => string | undefined): void {
  const problems: Problem[] = [];
  const add = (pointer: string, detail: string | undefined): void => {
    if (detail !== undefined) problems.push({ pointer, detail });
  };
  if (given.url !== undefined) add('/url', urlRefusal(given.url));
  given.events?.forEach((pattern, index) => {
    if (!PATTERN.test(pattern) || pattern.length > 100)
      add(
        `/events/${index}`,
        'must be an event type such as issue.created, a glob such as pr.*, or * for all but system types.',
      );
  });
  if (typeof given.secret === 'string') add('/secret', secretRefusal(given.secret));
  if (typeof given.filter === 'string') add('/filter', filterRefusal(given.filter));
  if (given.headers) checkOwnHeaders(given.headers, given.signatureHeader ?? SIGNATURE_HEADER, add);
  if (typeof given.signatureHeader === 'string') add('/signatureHeader', signatureHeaderRefusal(given.signatureHeader));
  if (given.rateLimit !== undefined && given.rateLimit !== null)
    add('/rateLimit', 'is not available: leave it out. At most 8 deliveries are under way to one webhook at a time.');
  const [first] = problems;
  if (first)
    throw new Rejected('invalid', 'webhook.invalid', `${first.pointer.slice(1)}: ${first.detail}`, { problems });
}

/** What is allowed and probably not meant. */
export function warningsOf(events: readonly string[]): readonly Problem[] {
  const types = Object.keys(catalogue);
  return events.flatMap((pattern, index) => {
    if (types.some(globMatcher(pattern))) return [];
    const detail = `No built-in event type is called ${pattern}. ${suggestion(pattern, types)}`.trim();
    return [{ pointer: `/events/${index}`, detail }];
  });
}

function checkOwnHeaders(
  headers: Readonly<Record<string, unknown>>,
  signatureHeader: string,
  add: (pointer: string, detail: string | undefined) => void,
): void {
  const names = Object.keys(headers);
  if (names.length > MAX_HEADERS) add('/headers', `has ${names.length} headers; at most ${MAX_HEADERS} are allowed.`);
  const seen = new Set<string>();
  for (const name of names) {
    const value = headers[name];
    const pointer = `/headers/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (typeof value !== 'string') add(pointer, 'must be a text.');
    else if (RESERVED.test(name) || name.toLowerCase() === signatureHeader.toLowerCase())
      add(pointer, 'is set by Millrace: leave it out.');
    else if (seen.has(name.toLowerCase())) add(pointer, 'is there twice.');
    else add(pointer, headerRefusal(name, value));
    seen.add(name.toLowerCase());
  }
}

function signatureHeaderRefusal(name: string): string | undefined {
  if (name.toLowerCase() === SIGNATURE_HEADER.toLowerCase()) return undefined;
  return RESERVED.test(name) ? 'is used for something else: choose another name.' : headerRefusal(name, '');
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
