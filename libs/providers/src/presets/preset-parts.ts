import type { JsonObject } from '#libs/plugin-sdk/src/fields.js';
import type { Preset } from '#libs/plugin-sdk/src/scheme/define-preset.js';
import type { Declaration, HmacScheme } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';

/** A declaration that is the same for every integration. */
export const always =
  (declaration: Declaration): Preset['declare'] =>
  () =>
    declaration;

/** HMAC-SHA256 over the raw body in hex: what differs is said. */
export const hmac = (header: string, rest: Partial<Omit<HmacScheme, 'kind' | 'header'>> = {}): HmacScheme => ({
  kind: 'hmac',
  header,
  ...rest,
});

/** A secret that the sender shows, or takes. */
export const secretFrom = (from: string, form?: string): Preset['secret'] => ({
  needed: true,
  from,
  ...(form !== undefined && { form }),
});
export const noSecret: Preset['secret'] = { needed: false, from: 'There is none: a public key proves the requests.' };

export const string = (description: string, rest: JsonObject = {}): JsonObject => ({
  type: 'string',
  minLength: 1,
  maxLength: 4096,
  description,
  ...rest,
});

/** Standard Webhooks under the header names of Svix, or its own. */
export const standardHmac = (prefix: 'svix' | 'webhook'): HmacScheme =>
  hmac(`${prefix}-signature`, {
    encoding: 'base64',
    list: { signature: 'v1', separator: ' ', assign: ',' },
    signed: '{id}.{timestamp}.{body}',
    key: 'base64',
    keyPrefix: 'whsec_',
    timestamp: { header: `${prefix}-timestamp` },
    id: { header: `${prefix}-id` },
  });
