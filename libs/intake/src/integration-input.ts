import type { Secrets } from '#libs/access/src/secrets.js';
import type { Problem } from '#libs/kernel/src/errors.js';
import { randomText } from '#libs/kernel/src/ids.js';
import type { JsonObject } from '#libs/kernel/src/json.js';
import type { Provider } from '#libs/plugin-sdk/src/define-provider.js';

import type { IntegrationSettings } from './integration.js';
import {
  configProblems,
  dedupeKeyProblems,
  expectedEveryProblems,
  MASK,
  rateLimitOf,
  refuseProblems,
  sourceProblems,
} from './settings-check.js';

/** Settings as they come in; `null` takes one away, `undefined` leaves it as it is. */
export interface GivenSettings {
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
 * @throws Rejected `integration.invalid` with a pointer for each problem.
 */
export function checkedSettings(given: GivenSettings, provider: Provider, current: JsonObject): SettingsChange {
  const problems: Problem[] = [];
  const rateLimit =
    given.rateLimit === undefined || given.rateLimit === null ? undefined : rateLimitOf(given.rateLimit);
  if (Array.isArray(rateLimit)) problems.push(...(rateLimit as readonly Problem[]));
  if (given.allowedSources) problems.push(...sourceProblems(given.allowedSources));
  if (typeof given.dedupeKey === 'string') problems.push(...dedupeKeyProblems(given.dedupeKey));
  if (typeof given.expectedEvery === 'string') problems.push(...expectedEveryProblems(given.expectedEvery));
  const config = given.config && withoutMasks(given.config, provider, current);
  if (config) problems.push(...configProblems(provider, config.toCheck));
  refuseProblems(problems);
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

/** A masked secret that has a value stands for it: what is recorded is the reference, what is checked any text. */
function withoutMasks(given: Readonly<Record<string, unknown>>, provider: Provider, current: JsonObject) {
  const kept = (provider.config?.secrets ?? []).filter((key) => given[key] === MASK && current[key] !== undefined);
  return {
    toCheck: given,
    toRecord: { ...given, ...Object.fromEntries(kept.map((key) => [key, current[key]!])) } as JsonObject,
  };
}

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
