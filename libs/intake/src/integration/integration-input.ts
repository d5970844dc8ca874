import type { Secrets } from '#libs/access/src/secrets.js';
import { type Problem, Rejected } from '#libs/kernel/src/errors.js';
import { randomText } from '#libs/kernel/src/ids.js';
import { canonicalJson, type Json, type JsonObject, pointerToken } from '#libs/kernel/src/json.js';
import type { Provider } from '#libs/plugin-sdk/src/define-provider.js';

import type { IntegrationSettings } from './integration.js';
import {
  configProblems,
  dedupeKeyProblems,
  expectedEveryProblems,
  isAskable,
  MASK,
  rateLimitOf,
  refuseProblems,
  secretProblems,
  sourceProblems,
} from './settings-check.js';

/** Settings as they come in; `null` takes one away, `undefined` leaves it as it is. */
export interface GivenSettings {
  /** Checked here, and recorded by another command. */
  readonly secret?: string | null | undefined;
  readonly name?: string | undefined;
  readonly customPath?: string | null | undefined;
  readonly allowedSources?: readonly string[] | null | undefined;
  readonly rateLimit?: unknown;
  readonly dedupeKey?: string | null | undefined;
  readonly expectedEvery?: string | null | undefined;
  readonly config?: Readonly<Record<string, unknown>> | undefined;
}

export interface SettingsChange {
  readonly changes: Partial<IntegrationSettings>;
  readonly removed: readonly (keyof IntegrationSettings)[];
}

const REMOVABLE = ['customPath', 'allowedSources', 'rateLimit', 'dedupeKey', 'expectedEvery'] as const;

/**
 * Settings as events hold them. Everything is checked before anything is stored.
 * @param current config as it is recorded, for masked values that are sent back.
 * @throws Rejected `integration.invalid` with a pointer for each problem; `integration.secret_needed` where an address
 * changes and a secret that would go there is masked.
 */
export function checkedSettings(given: GivenSettings, provider: Provider, current: JsonObject): SettingsChange {
  const problems: Problem[] = [];
  const rateLimit =
    given.rateLimit === undefined || given.rateLimit === null ? undefined : rateLimitOf(given.rateLimit);
  if (Array.isArray(rateLimit)) problems.push(...(rateLimit as readonly Problem[]));
  if (given.allowedSources) problems.push(...sourceProblems(given.allowedSources));
  if (typeof given.dedupeKey === 'string') problems.push(...dedupeKeyProblems(given.dedupeKey));
  if (typeof given.expectedEvery === 'string') problems.push(...expectedEveryProblems(given.expectedEvery));
  if (typeof given.secret === 'string') problems.push(...secretProblems(provider, given.secret));
  const config = given.config && withoutMasks(given.config, provider, current);
  if (config) problems.push(...configProblems(provider, config.toCheck));
  refuseProblems(problems);
  if (config) refuseMovedSecrets(config, provider, current);
  return {
    changes: {
      ...(given.name !== undefined && { name: given.name }),
      ...(typeof given.customPath === 'string' && { customPath: given.customPath }),
      ...(given.allowedSources && { allowedSources: given.allowedSources }),
      ...(rateLimit !== undefined && { rateLimit: rateLimit as NonNullable<IntegrationSettings['rateLimit']> }),
      ...(typeof given.dedupeKey === 'string' && { dedupeKey: given.dedupeKey }),
      ...(typeof given.expectedEvery === 'string' && { expectedEvery: given.expectedEvery }),
      ...(config && { config: config.toRecord }),
    },
    removed: REMOVABLE.filter((key) => given[key] === null),
  };
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
    `An integration whose sender is asked for what never arrived has no dedupeKey: the sender's own ids tell its deliveries apart. Leave dedupeKey out (null), or one of ${needs} out of config.`,
    {
      problems: pointers.map((key) => ({
        pointer: `/${key}`,
        detail: key === 'config' ? `has ${needs}, and there is a dedupeKey` : `with ${needs} in config there is none`,
      })),
    },
  );
}

/** A masked secret that has a value stands for it: what is recorded is the reference, what is checked any text. */
function withoutMasks(given: Readonly<Record<string, unknown>>, provider: Provider, current: JsonObject) {
  const kept = (provider.config?.secrets ?? []).filter((key) => given[key] === MASK && current[key] !== undefined);
  return {
    toCheck: given,
    toRecord: { ...given, ...Object.fromEntries(kept.map((key) => [key, current[key]!])) } as JsonObject,
    kept,
  };
}

/**
 * A stored secret goes to the addresses with which it was entered, and to no others: whoever may change an address, and
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
    `${moved.join(' and ')} of config is changed: the stored ${kept.join(' and ')} is not sent to another address. Send it anew, instead of the mask.`,
    {
      problems: kept.map((key) => ({
        pointer: `/config/${pointerToken(key)}`,
        detail: `is masked, and ${moved.join(' and ')} changes: send its value`,
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
