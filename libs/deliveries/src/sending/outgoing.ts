import { createHash } from 'node:crypto';

import type { DataOf } from '#libs/events/src/catalogue.js';
import type { WebhookSettings } from '#libs/events/src/shapes/webhook-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { previousHeader, SIGNATURE_HEADER, signatureHeaders } from '#libs/plugin-sdk/src/signature-headers.js';

import { type AttemptTask, messageIdOf } from '../delivery/delivery.js';
import type { Body } from '../webhook/format.js';
import type { WebhookCredentials } from './credentials.js';

export interface Outgoing {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The headers as they may be recorded: without signatures, and without the values of the receiver's own. */
  readonly recordedHeaders: Readonly<Record<string, string>>;
}

const HIDDEN = '(hidden)';

/** One attempt, ready to be sent. */
export function outgoing(
  task: Pick<AttemptTask, 'deliveryId' | 'rootId' | 'eventType'>,
  { text, contentType }: Body,
  credentials: WebhookCredentials,
  { signatureHeader }: Pick<WebhookSettings, 'signatureHeader'>,
  now: Date,
): Outgoing {
  const told = {
    'Content-Type': contentType,
    'User-Agent': 'Millrace',
    'X-Millrace-Event': task.eventType,
    'X-Millrace-Delivery': task.deliveryId,
  };
  const message = {
    messageId: messageIdOf(task.rootId),
    timestamp: Math.floor(now.getTime() / 1000),
    body: text,
  };
  const signed = signatureHeaders(message, credentials.secrets, signatureHeader);
  const own = Object.keys(credentials.headers).map((name) => [name.toLowerCase(), HIDDEN] as const);
  const ours = Object.entries({ ...told, ...signed }).filter(([name]) => !isSignature(name, signatureHeader));
  return {
    body: text,
    // Ours come last: a header of the receiver's own never takes the place of one that says who is speaking.
    headers: { ...credentials.headers, ...told, ...signed },
    recordedHeaders: Object.fromEntries([...own, ...ours.map(([name, value]) => [name.toLowerCase(), value] as const)]),
  };
}

const isSignature = (name: string, signatureHeader = SIGNATURE_HEADER): boolean =>
  [signatureHeader, previousHeader(signatureHeader), 'webhook-signature'].includes(name);

export const recordedRequest = (url: string, { body, recordedHeaders }: Outgoing, format: string) => ({
  method: 'POST',
  url,
  headers: recordedHeaders,
  format,
  bodySha256: createHash('sha256').update(body).digest('hex'),
  bodyBytes: Buffer.byteLength(body),
});

/** Headers of an answer that are nobody's business but the sender's. */
const UNRECORDED = new Set(['set-cookie', 'authorization', 'proxy-authorization']);

/** Shorter values are no secrets, and masking them would spoil the answer. */
const LEAST_MASKED = 4;

/**
 * What of a header's value must not be kept where a receiver echoes it: the whole, and a credential without its scheme.
 * Receivers escape it as JSON does, or read it as bytes.
 */
const spellings = (value: string): readonly string[] =>
  [value, ...value.split(/\s+/)]
    .flatMap((text) => [text, stringifyJson(text).slice(1, -1), Buffer.from(text, 'utf8').toString('latin1')])
    .filter((text) => text.length >= LEAST_MASKED);

/** Takes the values of a webhook's own headers out of what its receiver answered. */
export function masked(headers: Readonly<Record<string, string>>): (text: string) => string {
  const values = [...new Set(Object.values(headers).flatMap(spellings))].sort((a, b) => b.length - a.length);
  return (text) => values.reduce((left, value) => left.replaceAll(value, HIDDEN), text);
}

/** An answer as it is recorded: text where it is text, else base64. @param mask takes out what must not be kept. */
export function recordedResponse(
  status: number,
  headers: Readonly<Record<string, string>>,
  answer: Buffer,
  truncated: boolean,
  mask: (text: string) => string = (text) => text,
): NonNullable<DataOf<'webhook.failed'>['response']> {
  // Byte by byte, so that a value is found in what is no text, too.
  const bytes = answer.toString('latin1');
  const hidden = mask(bytes);
  const body = hidden === bytes ? answer : Buffer.from(hidden, 'latin1');
  const text = body.toString('utf8');
  // A text that was cut in the middle of a character is still text.
  const isText = truncated ? !text.slice(0, -1).includes('\ufffd') : Buffer.from(text, 'utf8').equals(body);
  return {
    status,
    headers: Object.fromEntries(
      Object.entries(headers).flatMap(([name, value]) => (UNRECORDED.has(name) ? [] : [[name, mask(value)]])),
    ),
    body: isText ? text : body.toString('base64'),
    encoding: isText ? 'utf8' : 'base64',
    truncated,
  };
}
