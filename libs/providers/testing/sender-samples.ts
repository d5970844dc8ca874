/** What the recorded requests of `fixtures/senders` were made with, and what is read from them. */
export interface SenderSample {
  /** The secret, or the private key in base64 of PKCS #8. */
  readonly key: string;
  readonly isPrivateKey?: boolean;
  readonly settings?: Readonly<Record<string, string>>;
  readonly eventType: string;
  /** Absent: none, or made from the body. */
  readonly deliveryId?: string;
}

/** When all of them were signed. */
export const SIGNED_AT = new Date('2026-11-20T13:14:15Z');
/** The address that those were sent to that sign it. */
export const PUBLIC_URL = 'https://hooks.example.com';

export const senderSamples: Readonly<Record<string, SenderSample>> = {
  stripe: {
    key: 'whsec_5e25e5ef21b505c1322d3b5e1a253b42074388d77ed14f08131200ed029b3fc5',
    eventType: 'invoice.paid',
    deliveryId: 'evt_18cf3ebbdacddfddd6f13',
  },
  shopify: {
    key: 'sample-secret-of-shopify-0001',
    eventType: 'orders/create',
    deliveryId: '8cf3ebbd-acdd-fddd-6f13-673f945f523c',
  },
  linear: {
    key: 'sample-secret-of-linear-0001',
    eventType: 'Issue',
    deliveryId: '5db7eba2-34a4-5f8b-af0b-213a37fceab9',
  },
  pagerduty: {
    key: 'sample-secret-of-pagerduty-0001',
    eventType: 'incident.triggered',
    deliveryId: '018CF3EBBDACDDFDDD6F13673F',
  },
  gitea: { key: 'sample-secret-of-gitea-0001', eventType: 'push', deliveryId: '8cf3ebbd-acdd-fddd-6f13-673f945f523c' },
  bitbucket: {
    key: 'sample-secret-of-bitbucket-0001',
    eventType: 'repo:push',
    deliveryId: '8cf3ebbd-acdd-fddd-6f13-673f945f523c',
  },
  zendesk: { key: 'sample-secret-of-zendesk-0001', eventType: 'zen:event-type:ticket.created', deliveryId: '01INV7' },
  intercom: {
    key: 'sample-secret-of-intercom-0001',
    eventType: 'contact.created',
    deliveryId: 'notif_8cf3ebbd-acdd-fddd-6f13-673f945f523c',
  },
  twilio: {
    key: 'sample-secret-of-twilio-0001',
    eventType: 'received',
    deliveryId: '8cf3ebbd-acdd-fddd-6f13-673f945f523c',
  },
  discord: {
    key: 'MC4CAQAwBQYDK2VwBCIEIIz55m9D1KutIB0VOlHWzE1lK/fdbkvjk044hYhgYaR/',
    isPrivateKey: true,
    settings: { publicKey: 'da54dd25c410f47ba5090d44a5dc59f2bcef755fa5a343fc390ad10ba13d9d90' },
    eventType: 'ENTITLEMENT_CREATE',
  },
  meta: {
    key: 'sample-secret-of-meta-0001',
    settings: { verifyToken: 'meta-verify-token-1' },
    eventType: 'whatsapp_business_account.messages',
    deliveryId: 'wamid.8cf3ebbdacddfddd6f13673f',
  },
  zoom: { key: 'sample-secret-of-zoom-0001', eventType: 'meeting.started' },
  typeform: {
    key: 'sample-secret-of-typeform-0001',
    eventType: 'form_response',
    deliveryId: '018CF3EBBDACDDFDDD6F13673F',
  },
  hubspot: { key: 'sample-secret-of-hubspot-0001', eventType: 'contact.creation' },
  square: {
    key: 'sample-secret-of-square-0001',
    eventType: 'payment.updated',
    deliveryId: '8cf3ebbd-acdd-fddd-6f13-673f945f523c',
  },
  paddle: {
    key: 'pdl_ntfset_7ba74dd5d9532e40194d3c162377f0efe964b450cfb2e2c275a982b0cd36d3f2',
    eventType: 'customer.created',
    deliveryId: 'evt_018cf3ebbdacddfddd6f13673f',
  },
  grafana: {
    key: 'sample-secret-of-grafana-0001',
    settings: { timestampHeader: 'X-Grafana-Alerting-Timestamp' },
    eventType: 'firing',
  },
  vercel: { key: 'sample-secret-of-vercel-0001', eventType: 'deployment.succeeded', deliveryId: 'hook_7' },
  netlify: { key: 'sample-secret-of-netlify-0001', eventType: 'deploy_created' },
  buildkite: { key: 'sample-secret-of-buildkite-0001', eventType: 'build.finished' },
  'terraform-cloud': { key: 'sample-secret-of-terraform-cloud-0001', eventType: 'run:completed' },
  contentful: {
    key: 'OxtL9SRYGaJyVmqFra-vyP8EuKRwBY14DyOeZPvQJXeoY8q_1j91uRM-R3BkNTTL',
    eventType: 'ContentManagement.Entry.publish',
    deliveryId: 'f5495a6c7df793bdbb4156ce2f1d2da4f90883e46509b9b494ed091e4f6d3135',
  },
  airtable: { key: 'AArWi0s5t/wKjj3cFRQlxvEdCB1uYRjuAtikhh9hbKA=', eventType: '' },
  mailgun: { key: 'sample-secret-of-mailgun-0001', eventType: 'delivered' },
  sendgrid: {
    key: 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXd56xqmJ84xxos6qv491zzh/deEncVTSk8+yI3zhJLuhRANCAASWhO3jBWIi0+R4ImMeeaXqGZl24v9v/pKq3hsjyY1rd7L/jSM+rjuuZGyO0IF/Sjabt+BZiXNQaHtRN/1Ng4vm',
    isPrivateKey: true,
    settings: {
      publicKey:
        'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEloTt4wViItPkeCJjHnml6hmZduL/b/6Sqt4bI8mNa3ey/40jPq47rmRsjtCBf0o2m7fgWYlzUGh7UTf9TYOL5g==',
    },
    eventType: 'delivered',
  },
  postmark: {
    key: 'sample-secret-of-postmark-0001',
    settings: { username: 'postmark' },
    eventType: 'Delivery',
    deliveryId: '8cf3ebbd-acdd-fddd-6f13-673f945f523c:Delivery',
  },
  adyen: { key: 'A9EDE38DE0CFAF1D4681AA183C21F3E4538A27939E23ED88C819777D13176704', eventType: 'AUTHORISATION' },
  telegram: { key: 'sample-secret-of-telegram-0001', eventType: 'message', deliveryId: '10007' },
};
