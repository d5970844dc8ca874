import { createVerify, type KeyObject, X509Certificate } from 'node:crypto';

import type { ProviderContext } from '#libs/plugin-sdk/src/define-provider.js';
import { fieldsOf, textOf } from '#libs/plugin-sdk/src/fields.js';
import type { SnsScheme } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';

import { decode } from '../request/encodings.js';
import { type Finding, malformed, mismatch, missing, type Proof, proved } from './proof.js';

/** Names of what is signed, in this order; `Subject` only where it is sent. */
const SIGNED: Readonly<Record<string, readonly string[]>> = {
  Notification: ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'],
  SubscriptionConfirmation: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
  UnsubscribeConfirmation: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
};
const ALGORITHMS: Readonly<Record<string, string>> = { '1': 'RSA-SHA1', '2': 'RSA-SHA256' };

/** Certificates of Amazon SNS by their address. */
export interface Certificates {
  /** `undefined` where there is none that is valid now. */
  find(url: string, context: ProviderContext): Promise<KeyObject | undefined>;
}

/** Whether an address is one of Amazon SNS: https, its own host, no user and no port. */
export function isSnsUrl(text: string): boolean {
  const host = SNS_URL.exec(text)?.[1];
  // Also as the client that opens it will read it.
  return host !== undefined && URL.canParse(text) && new URL(text).host === host;
}

const SNS_URL = /^https:\/\/(sns\.[a-z]{2}(?:-[a-z]+)+-\d\.amazonaws\.com(?:\.cn)?)(?:[/?][^\s\\#]*)?$/;

export const isCertificateUrl = (text: string): boolean =>
  isSnsUrl(text) &&
  /^\/SimpleNotificationService-[A-Za-z0-9]{1,100}\.pem$/.test(new URL(text).pathname) &&
  !/[?#]/.test(text);

/** Amazon signs listed fields of the message with the key of a certificate that the message names. */
export const snsProof = ({ topicArn }: SnsScheme, certificates: Certificates): Proof => ({
  wants: `a message of Amazon SNS for the topic ${topicArn}, with Signature, SignatureVersion 1 or 2 and SigningCertURL`,
  needsSecret: false,
  headers: [],
  async verify(view, _, context): Promise<Finding> {
    const message = fieldsOf(view.value);
    const type = textOf(message['Type']) ?? '';
    const names = Object.hasOwn(SIGNED, type) ? SIGNED[type]! : undefined;
    const signature = decode(textOf(message['Signature']) ?? '', 'base64');
    const version = textOf(message['SignatureVersion']) ?? '';
    if (message['Signature'] === undefined) return missing('field');
    if (!names || !signature || !Object.hasOwn(ALGORITHMS, version)) return malformed('field');
    const url = textOf(message['SigningCertURL']) ?? '';
    if (!isCertificateUrl(url)) return malformed('field');
    if (message['TopicArn'] !== topicArn) return mismatch('field');
    const signed = names
      .filter((name) => typeof message[name] === 'string')
      .map((name) => `${name}\n${message[name] as string}\n`)
      .join('');
    const key = await certificates.find(url, context);
    const isRight = key !== undefined && createVerify(ALGORITHMS[version]!).update(signed).verify(key, signature);
    return isRight ? proved(`sns-v${version}`) : mismatch();
  },
  sign() {
    throw new TypeError('Only Amazon can sign its messages. Save a request from Amazon.');
  },
});

const FRESH_MS = 24 * 3_600_000;
const LOOK_AGAIN_MS = 60_000;
/** Strangers choose addresses: no more are asked for in a minute than this. */
const MOST_A_MINUTE = 20;
const MOST_KEPT = 100;
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 64 * 1024;

/** Fetches certificates: each once a day, none that is not Amazon's, few a minute. */
export class FetchedCertificates implements Certificates {
  private readonly kept = new Map<string, { readonly key: KeyObject | undefined; readonly until: number }>();
  private readonly fetching = new Map<string, Promise<KeyObject | undefined>>();
  private minute = { began: 0, count: 0 };

  async find(url: string, context: ProviderContext): Promise<KeyObject | undefined> {
    const now = context.now.getTime();
    const known = this.kept.get(url);
    if (known && known.until > now) return known.key;
    const underWay = this.fetching.get(url);
    if (underWay) return underWay;
    if (now - this.minute.began >= 60_000) this.minute = { began: now, count: 0 };
    if (++this.minute.count > MOST_A_MINUTE) return undefined;
    const fetching = fetchKey(url, context)
      .then((key) => {
        this.keep(url, key, now + (key ? FRESH_MS : LOOK_AGAIN_MS));
        return key;
      })
      .finally(() => this.fetching.delete(url));
    this.fetching.set(url, fetching);
    return fetching;
  }

  private keep(url: string, key: KeyObject | undefined, until: number): void {
    this.kept.delete(url);
    this.kept.set(url, { key, until });
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= MOST_KEPT) break;
      this.kept.delete(oldest);
    }
  }
}

async function fetchKey(url: string, { http, now }: ProviderContext): Promise<KeyObject | undefined> {
  if (!http || !isCertificateUrl(url)) return undefined;
  const outcome = await http.request({
    method: 'GET',
    url,
    headers: { accept: 'application/x-pem-file' },
    timeoutMs: TIMEOUT_MS,
    keepBytes: MAX_BYTES,
    maxBytes: MAX_BYTES,
    signal: AbortSignal.timeout(2 * TIMEOUT_MS),
  });
  if (outcome.kind === 'failed' || outcome.status !== 200) return undefined;
  try {
    const certificate = new X509Certificate(outcome.body);
    const isValid =
      Date.parse(certificate.validFrom) <= now.getTime() && now.getTime() <= Date.parse(certificate.validTo);
    return isValid && certificate.publicKey.asymmetricKeyType === 'rsa' ? certificate.publicKey : undefined;
  } catch {
    return undefined;
  }
}
