import { createSign } from 'node:crypto';
import { readFileSync } from 'node:fs';

const fixture = (name: string): string => readFileSync(new URL(`../fixtures/sns/${name}`, import.meta.url), 'utf8');

/** Stands in for Amazon SNS: signs messages as it does, with a certificate that was made for tests. */
export const SNS_CERTIFICATE = fixture('certificate.pem');
export const SNS_CERTIFICATE_URL =
  'https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem';
export const SNS_TOPIC = 'arn:aws:sns:eu-west-1:123456789012:alerts';
export const SNS_CONFIRM_URL =
  'https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:eu-west-1:123456789012:alerts&Token=t';

const SIGNED = {
  Notification: ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'],
  SubscriptionConfirmation: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
} as const;

/** A signed message; `more` replaces fields before it is signed. */
export function snsMessage(type: keyof typeof SIGNED, timestamp: Date, more: Readonly<Record<string, string>> = {}) {
  const message: Record<string, string> = {
    Type: type,
    MessageId: '22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324',
    TopicArn: SNS_TOPIC,
    Message: 'It is down.',
    Timestamp: timestamp.toISOString(),
    SignatureVersion: '2',
    SigningCertURL: SNS_CERTIFICATE_URL,
    ...(type === 'SubscriptionConfirmation' && { Token: 't', SubscribeURL: SNS_CONFIRM_URL }),
    ...more,
  };
  const signed = SIGNED[type]
    .filter((name) => message[name] !== undefined)
    .map((name) => `${name}\n${message[name]!}\n`)
    .join('');
  const algorithm = message['SignatureVersion'] === '1' ? 'RSA-SHA1' : 'RSA-SHA256';
  return { ...message, Signature: createSign(algorithm).update(signed).sign(fixture('key.pem'), 'base64') };
}
