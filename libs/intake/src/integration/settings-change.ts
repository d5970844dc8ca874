import type { Secrets } from '#libs/access/src/secrets/secrets.js';
import { type IntegrationSettings, integrationSettings } from '#libs/events/src/shapes/integration-shape.js';
import { parseDuration } from '#libs/kernel/src/time/durations.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { randomText } from '#libs/kernel/src/ids.js';
import { canonicalJson, type Json, type JsonObject, pointerToken } from '#libs/kernel/src/json.js';
import type { Provider } from '#libs/plugin-sdk/src/define-provider.js';

import type { RateLimit } from './rate-limiter.js';
import { type GivenSettings, isAskable, MASK } from './settings-check.js';

export interface SettingsChange {
  readonly changes: Partial<IntegrationSettings>;
  readonly removed: readonly (keyof IntegrationSettings)[];
}

/**
 * Settings that were checked, as events hold them.
 * @param current config as it is recorded, for masked values that are sent back.
 * @throws Rejected `integration.secret_needed` where an address changes and a secret that would go there is masked.
 */
export function settingsChange(given: GivenSettings, provider: Provider, current: JsonObject): SettingsChange {
  const config = given.config && withoutMasks(given.config as JsonObject, provider, current);
  if (config) refuseMovedSecrets(config, provider, current);
  const { rateLimit } = given;
  const names = Object.keys(integrationSettings) as (keyof typeof integrationSettings)[];
  const plain = names.flatMap((name) =>
    given[name] === undefined || given[name] === null ? [] : [[name, given[name]]],
  );
  return {
    changes: {
      ...(Object.fromEntries(plain) as Partial<IntegrationSettings>),
      ...(rateLimit !== undefined && rateLimit !== null && { rateLimit: rateLimitOf(rateLimit) }),
      ...(config && { config: config.toRecord }),
    },
    removed: ([...names, 'rateLimit'] as const).filter((name) => given[name] === null),
  };
}

/** `100`, which is a minute's, or `{ "limit": 100, "per": "1m" }`. */
export function rateLimitOf(given: NonNullable<GivenSettings['rateLimit']>): RateLimit {
  const { limit, per = '1m' } = typeof given === 'number' ? { limit: given } : given;
  return { limit, perMs: parseDuration(per) };
}

/**
 * The sender names its deliveries by its own ids; with a `dedupeKey` the log knows them by another, and all of them would be
 * missing.
 * @throws Rejected `integration.dedupe_key_and_reconcile`.
 */
export function refuseDedupeKeyOfAskable(
  given: GivenSettings,
  provider: Provider,
  { config, dedupeKey }: { readonly config: JsonObject; readonly dedupeKey?: string | undefined },
): void {
  const pointers = (['dedupeKey', 'config'] as const).filter((key) => given[key] !== undefined && given[key] !== null);
  if (pointers.length === 0 || dedupeKey === undefined || !isAskable(provider, config)) return;
  const needs = provider.reconcile!.needs.join(', ');
  throw new Rejected(
    'invalid',
    'integration.dedupe_key_and_reconcile',
    `An integration that finds missing deliveries must not have a dedupeKey: it needs the sender's own ids. Remove dedupeKey (null), or one of ${needs} in config.`,
    {
      problems: pointers.map((key) => ({
        pointer: `/${key}`,
        detail:
          key === 'config'
            ? `Must not have ${needs} together with a dedupeKey.`
            : `Must be left out: config has ${needs}.`,
      })),
    },
  );
}

/** A masked secret that has a value stands for it: what is recorded is the reference. */
function withoutMasks(given: JsonObject, provider: Provider, current: JsonObject) {
  const kept = (provider.config?.secrets ?? []).filter((key) => given[key] === MASK && current[key] !== undefined);
  return { toRecord: { ...given, ...Object.fromEntries(kept.map((key) => [key, current[key]!])) }, kept };
}

/**
 * A stored secret goes to the addresses with which it was entered, and to no others: a person who may change an address, and
 * not read the secret, would have it sent to a server of their own.
 */
function refuseMovedSecrets(
  { toRecord, kept }: ReturnType<typeof withoutMasks>,
  provider: Provider,
  current: JsonObject,
) {
  const moved = Object.entries(provider.config?.properties ?? {})
    .filter(([key, schema]) => namesAddress(schema) && !isSame(toRecord[key], current[key]))
    .map(([key]) => key);
  if (kept.length === 0 || moved.length === 0) return;
  throw new Rejected(
    'invalid',
    'integration.secret_needed',
    `${moved.join(' and ')} of config changes, and the stored ${kept.join(' and ')} must not be sent to another address. Send the secret again instead of the mask.`,
    {
      problems: kept.map((key) => ({
        pointer: `/config/${pointerToken(key)}`,
        detail: `Must be sent again instead of the mask: ${moved.join(' and ')} changes.`,
      })),
    },
  );
}

const isSame = (left: Json | undefined, right: Json | undefined): boolean =>
  left === undefined || right === undefined ? left === right : canonicalJson(left) === canonicalJson(right);

const ADDRESS_FORMATS: ReadonlySet<unknown> = new Set(['uri', 'uri-reference', 'iri', 'url', 'hostname']);

/** Whether a value of this schema, or anything in it, is an address. */
const namesAddress = (schema: unknown): boolean =>
  typeof schema === 'object' &&
  schema !== null &&
  Object.entries(schema).some(
    ([key, value]) => (key === 'format' && ADDRESS_FORMATS.has(value)) || namesAddress(value),
  );

/**
 * Moves secret values of `config` into the store and leaves their references.
 * @param name tells the references of one command apart from those of another; derived, so that a repeated command
 * finds what it has stored.
 */
export async function withStoredSecrets(
  config: JsonObject,
  provider: Provider,
  secrets: Secrets,
  { orgId, integrationId, name }: { orgId: string; integrationId: string; name: string },
): Promise<JsonObject> {
  const stored: Record<string, JsonObject> = {};
  for (const key of provider.config?.secrets ?? []) {
    const value = config[key];
    if (typeof value !== 'string') continue;
    const reference = `${integrationId}/config/${key}/${name}`;
    await secrets.put(orgId, reference, value);
    stored[key] = { $secret: reference };
  }
  return { ...config, ...stored };
}

/** For references and slugs that must not be met twice. */
export const freshName = (): string => randomText(9);

/** `wh_` and 32 characters over 192 random bits. */
export const newSlug = (): string => `wh_${randomText(24)}`;
