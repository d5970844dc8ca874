import type { ErrorObject } from 'ajv';

import { tryParseDuration } from '#libs/kernel/src/durations.js';
import { messageOf, type Problem, Rejected } from '#libs/kernel/src/errors.js';
import { isObject, type JsonObject, pointerToken } from '#libs/kernel/src/json.js';
import { configCheck } from '#libs/plugin-sdk/src/config-schema.js';
import type { Provider } from '#libs/plugin-sdk/src/define-provider.js';

import { isAddressOrRange } from './addresses.js';
import { DedupeKey } from './dedupe-key.js';
import type { RateLimit } from './rate-limiter.js';

/** What stands in an answer for a secret value; sent back as it is, it keeps the value that is stored. */
export const MASK = '********';

const MAX_SOURCES = 100;
const MAX_PER_MS = 86_400_000;

/** In what `config` is not as its provider wants it. */
export function configProblems(provider: Provider, config: unknown): readonly Problem[] {
  const validate = configCheck(provider.config);
  if (validate(config)) return [];
  const found = (validate.errors ?? []).map((error) => problemOf(error, provider));
  // One problem a place: what is wrong in one way is often wrong in others too.
  return found.filter(({ pointer }, index) => found.findIndex((other) => other.pointer === pointer) === index);
}

function problemOf({ keyword, instancePath, params, message }: ErrorObject, provider: Provider): Problem {
  const pointer = `/config${instancePath}`;
  if (keyword === 'additionalProperties') {
    const key = String((params as { additionalProperty: unknown }).additionalProperty);
    const allowed = Object.keys(provider.config?.properties ?? {});
    const which = allowed.length === 0 ? 'it takes none' : `it takes ${allowed.join(', ')}`;
    return { pointer: `${pointer}/${pointerToken(key)}`, detail: `${provider.name} knows no such key: ${which}` };
  }
  if (keyword === 'required')
    return {
      pointer: `${pointer}/${pointerToken(String((params as { missingProperty: unknown }).missingProperty))}`,
      detail: `${provider.name} needs it`,
    };
  return { pointer, detail: message ?? 'is not as it should be' };
}

/** Whatever a provider makes of a secret, nothing of it comes back. */
export function secretProblems(provider: Provider, secret: string): readonly Problem[] {
  const problem = (detail: string) => [{ pointer: '/secret', detail }];
  try {
    const reason = provider.checkSecret?.(secret);
    if (reason === undefined) return [];
    return problem(typeof reason !== 'string' || reason.includes(secret) ? UNFIT : reason);
  } catch {
    return problem(UNFIT);
  }
}

const UNFIT = 'is not a secret that this provider can use: see its page';

export function sourceProblems(sources: readonly string[]): readonly Problem[] {
  if (sources.length === 0)
    return [{ pointer: '/allowedSources', detail: 'lets nobody in: leave it out to let everybody in' }];
  if (sources.length > MAX_SOURCES)
    return [{ pointer: '/allowedSources', detail: `has more than ${MAX_SOURCES} entries: use ranges` }];
  return sources.flatMap((source, index) =>
    isAddressOrRange(source)
      ? []
      : [
          {
            pointer: `/allowedSources/${index}`,
            detail: 'is neither an address (203.0.113.7, 2001:db8::1) nor a range (203.0.113.0/24)',
          },
        ],
  );
}

/** `100`, which is a minute's, or `{ "limit": 100, "per": "1m" }`. */
export function rateLimitOf(value: unknown): RateLimit | readonly Problem[] {
  const given = typeof value === 'number' ? { limit: value, per: '1m' } : value;
  const shape = 'is a number of requests per minute, or { "limit": 100, "per": "1m" }';
  if (!isObject(given)) return [{ pointer: '/rateLimit', detail: shape }];
  const unknown = Object.keys(given).find((key) => key !== 'limit' && key !== 'per');
  if (unknown !== undefined) return [{ pointer: `/rateLimit/${pointerToken(unknown)}`, detail: `unknown: ${shape}` }];
  const { limit, per = '1m' } = given;
  const perMs = typeof per === 'string' ? tryParseDuration(per) : undefined;
  const problems: Problem[] = [];
  if (!Number.isSafeInteger(limit) || (limit as number) < 1 || (limit as number) > 1_000_000)
    problems.push({ pointer: '/rateLimit/limit', detail: 'is a whole number of requests from 1 to 1000000' });
  if (perMs === undefined || perMs < 1000 || perMs > MAX_PER_MS)
    problems.push({ pointer: '/rateLimit/per', detail: 'is a duration from 1s to 1d, such as 1m' });
  return problems.length > 0 ? problems : { limit: limit as number, perMs: perMs! };
}

export function dedupeKeyProblems(expression: string): readonly Problem[] {
  try {
    new DedupeKey(expression);
    return [];
  } catch (error) {
    return [{ pointer: '/dedupeKey', detail: messageOf(error) }];
  }
}

const MIN_SILENCE_MS = 1_000;
const MAX_SILENCE_MS = 90 * 86_400_000;

export function expectedEveryProblems(duration: string): readonly Problem[] {
  const ms = tryParseDuration(duration);
  return ms !== undefined && ms >= MIN_SILENCE_MS && ms <= MAX_SILENCE_MS
    ? []
    : [{ pointer: '/expectedEvery', detail: 'is a duration from 1s to 90d, such as 1h' }];
}

/** @throws Rejected `integration.invalid` if there is a problem. */
export function refuseProblems(problems: readonly Problem[]): void {
  if (problems.length > 0)
    throw new Rejected(
      'invalid',
      'integration.invalid',
      'The integration cannot be saved like this; "errors" says what to change.',
      { problems },
    );
}

/** Whether a config says where and as whom the sender can be asked. */
export const isAskable = (provider: Provider | undefined, config: JsonObject): boolean =>
  provider?.reconcile !== undefined && provider.reconcile.needs.every((key) => config[key] !== undefined);

/** Whether an integration's sender is asked. With a `dedupeKey` the log does not know the ids that the sender names. */
export const canReconcile = (
  provider: Provider | undefined,
  { config, dedupeKey }: { readonly config: JsonObject; readonly dedupeKey?: unknown },
): boolean => dedupeKey === undefined && isAskable(provider, config);
