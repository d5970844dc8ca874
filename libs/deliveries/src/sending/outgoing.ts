import { createHash } from 'node:crypto';

import type { DataOf } from '#libs/events/src/catalogue.js';
import type { WebhookSettings } from '#libs/events/src/shapes/webhook-shape.js';

import { type AttemptTask, messageIdOf } from '../delivery/delivery.js';
import type { Body } from '../webhook/format.js';
import { SIGNATURE_HEADER, signatureHeaders } from '../webhook/signing.js';
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
  name === signatureHeader || name === 'webhook-signature';

type Attempted = DataOf<'delivery.attempted'>;

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

/** An answer as it is recorded: text where it is text, else base64. */
export function recordedResponse(
  status: number,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
  truncated: boolean,
): NonNullable<Attempted['response']> {
  const text = body.toString('utf8');
  // A text that was cut in the middle of a character is still text.
  const isText = truncated ? !text.slice(0, -1).includes('\ufffd') : Buffer.from(text, 'utf8').equals(body);
  return {
    status,
    headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !UNRECORDED.has(name))),
    body: isText ? text : body.toString('base64'),
    encoding: isText ? 'utf8' : 'base64',
    truncated,
  };
}
