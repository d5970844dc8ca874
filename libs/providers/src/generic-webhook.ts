import { headerText } from '#libs/plugin-sdk/src/body/body-text.js';
import { defineProvider, type Provider } from '#libs/plugin-sdk/src/define-provider.js';
import { fieldsOf, type JsonObject, textOf } from '#libs/plugin-sdk/src/fields.js';
import { type Declaration, schemeConfig } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';

import { KeysUnavailable, OpenIdKeys } from './botframework/openid-keys.js';
import { bearerConfig, SHARED_SECRET_WANTS, signSharedSecret, verifySharedSecret } from './shared-secret.js';
import type { KeyParts } from './verify/proofs/compile-scheme.js';
import { declaredProvider } from './verify/declared-provider.js';
import { presetProvider } from './verify/preset-provider.js';
import { FetchedCertificates } from './verify/proofs/sns.js';

const openIdKeys = new OpenIdKeys();

/** Shared by all integrations: keys are fetched once. */
const parts: KeyParts = {
  keys: {
    async find(keysUrl, keyId, context) {
      const found = await openIdKeys.find(keysUrl, keyId, context);
      return found && 'key' in found ? found.key : undefined;
    },
    isUnavailable: (error) => error instanceof KeysUnavailable,
  },
  certificates: new FetchedCertificates(),
};

const KEPT = [
  'user-agent',
  'content-type',
  'x-event-type',
  'x-github-event',
  'x-webhook-event',
  'x-event-key',
  'idempotency-key',
  'x-request-id',
  'traceparent',
] as const;

/** A sender of which nothing is said. */
const undeclared: Provider = defineProvider({
  name: 'generic_webhook',
  description: 'Any sender: with a preset, with a declared signature, a bearer token, or by its unguessable URL alone.',
  wants: SHARED_SECRET_WANTS,
  anyBody: true,
  verify: verifySharedSecret,
  sign: signSharedSecret,
  normalise({ value, request: { headers } }) {
    const body = fieldsOf(value);
    const named =
      headers['x-event-type'] || headers['x-github-event'] || headers['x-webhook-event'] || headers['x-event-key'];
    const eventType = named ? headerText(named) : (textOf(body['event']) ?? textOf(body['type']) ?? 'webhook');
    return {
      deliveryId: headers['idempotency-key'],
      eventType,
      events: [{ type: 'webhook.received', subject: '', data: {} }],
    };
  },
});

const declarationOf = (config: JsonObject): Declaration | undefined =>
  config['verify'] === undefined ? undefined : (config as unknown as Declaration);

const declared = declaredProvider({
  ...parts,
  otherwise: undeclared,
  config: { properties: { ...bearerConfig.properties, ...(schemeConfig as unknown as Record<string, JsonObject>) } },
  keepHeaders: KEPT,
  declarationOf,
});

/** Any program that can send a request. */
export const genericWebhook: Provider = {
  ...declared,
  checkIntegration(config, hasSecret) {
    const { verify, bearer } = config;
    if (verify !== undefined && bearer !== undefined)
      return [{ pointer: '/config/bearer', detail: 'Must be left out: verify says how requests are proved.' }];
    if (verify === undefined)
      return (['read', 'handshake', 'answer'] as const)
        .filter((key) => config[key] !== undefined)
        .map((key) => ({ pointer: '/config/verify', detail: `"verify" is required with ${key}.` }))
        .slice(0, 1);
    return declared.checkIntegration!(config, hasSecret);
  },
  withPreset: (preset) => presetProvider(undeclared, preset, parts),
};
