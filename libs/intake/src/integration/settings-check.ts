import type { IntegrationChanges } from '#libs/events/src/shapes/integration-shape.js';
import type { PersonalFields } from '#libs/events/src/personal/personal-shape.js';
import { type ShapeProblem, shapeProblems } from '#libs/events/src/shapes/shape-check.js';
import { personalProblems } from '#libs/expressions/src/personal/personal-fields.js';
import { tryParseDuration } from '#libs/kernel/src/time/durations.js';
import { messageOf } from '#libs/kernel/src/errors.js';
import type { JsonObject } from '#libs/kernel/src/json.js';
import type { Problems } from '#libs/kernel/src/problems.js';
import { configShape } from '#libs/plugin-sdk/src/config-schema.js';
import type { Provider } from '#libs/plugin-sdk/src/define-provider.js';

import { isAddressOrRange } from './addresses.js';
import { DedupeKey } from './dedupe-key.js';

/** What stands in an answer for a secret value; sent back as it is, it keeps the value that is stored. */
export const MASK = '********';

const MAX_SOURCES = 100;
const DAY_MS = 86_400_000;

/** Settings as they are sent; `null` removes one, what is left out stays. */
export type GivenSettings = Omit<IntegrationChanges, 'enabled' | 'graceSeconds'>;

/**
 * Notes what is wrong with settings beyond their shape.
 * @param before the current settings of an integration that is changed.
 * @param urlRefusal why a URL may not be called.
 */
export function checkSettings(
  given: GivenSettings,
  provider: Provider,
  problems: Problems,
  before: { readonly config: JsonObject; readonly hasSecret: boolean; readonly secret?: string | undefined } = {
    config: {},
    hasSecret: false,
  },
  urlRefusal: (url: string) => string | undefined = () => undefined,
): void {
  const sources = problems.part(given, 'allowedSources');
  if (sources) checkSources(sources, problems);
  const dedupeKey = problems.part(given, 'dedupeKey');
  if (dedupeKey !== undefined) checkDedupeKey(dedupeKey, problems);
  const rateLimit = problems.part(given, 'rateLimit');
  if (typeof rateLimit === 'object') checkDuration(rateLimit.per ?? '1m', '/rateLimit/per', [1_000, DAY_MS], problems);
  const expectedEvery = problems.part(given, 'expectedEvery');
  if (expectedEvery !== undefined) checkDuration(expectedEvery, '/expectedEvery', [1_000, 90 * DAY_MS], problems);
  const personal = problems.part(given, 'personal');
  if (personal !== undefined) checkPersonal(personal, provider, problems);
  const config = problems.part(given, 'config');
  if (config) {
    problems.addAll(configProblems(provider, config));
    checkUrls(provider, config as JsonObject, problems, urlRefusal);
  }
  if (!problems.isFine('/config')) return;
  const hasSecret = given.secret === undefined ? before.hasSecret : given.secret !== null;
  const effective = (config ?? before.config) as JsonObject;
  for (const { pointer, detail } of provider.checkIntegration?.(effective, hasSecret) ?? [])
    problems.add(pointer, detail);
  // What secrets look like depends on the config; another config may want another form of the one that is stored.
  const secret = problems.part(given, 'secret') ?? (config && given.secret === undefined ? before.secret : undefined);
  if (secret !== undefined && problems.isFine('/config') && problems.isFine('/secret'))
    checkSecret(provider, secret, effective, problems);
}

/** In what `config` is not as its provider wants it. Its values may be secrets: none is repeated. */
export const configProblems = (provider: Provider, config: unknown): readonly ShapeProblem[] =>
  shapeProblems(configShape(provider.config), config, { prefix: 'integration', pointer: '/config', hidesValues: true });

/** URLs in `config` are called later: what may not be called is refused when it is saved. */
function checkUrls(
  provider: Provider,
  config: JsonObject,
  problems: Problems,
  urlRefusal: (url: string) => string | undefined,
): void {
  for (const [key, schema] of Object.entries(provider.config?.properties ?? {})) {
    const { format } = schema as { format?: string };
    const url = config[key];
    if (format !== 'uri' || typeof url !== 'string' || !problems.isFine(`/config/${key}`)) continue;
    const refusal = urlRefusal(url);
    if (refusal !== undefined) problems.add(`/config/${key}`, refusal);
  }
}

/** Whatever a provider makes of a secret, nothing of it comes back. */
function checkSecret(provider: Provider, secret: string, config: JsonObject, problems: Problems): void {
  const unusable = 'Must be a secret that this provider can use: see the documentation of the provider.';
  try {
    const reason = provider.checkSecret?.(secret, config);
    if (reason === undefined) return;
    problems.add('/secret', typeof reason !== 'string' || reason.includes(secret) ? unusable : reason);
  } catch {
    problems.add('/secret', unusable);
  }
}

function checkSources(sources: readonly string[], problems: Problems): void {
  if (sources.length === 0)
    problems.add(
      '/allowedSources',
      'Must not be empty: it would block every sender. Leave it out to accept every address.',
    );
  if (sources.length > MAX_SOURCES)
    problems.add('/allowedSources', `Must have at most ${MAX_SOURCES} entries: use ranges.`);
  else
    sources.forEach((source, index) => {
      if (!isAddressOrRange(source))
        problems.add(
          `/allowedSources/${index}`,
          'Must be an address (203.0.113.7, 2001:db8::1) or a range (203.0.113.0/24).',
        );
    });
}

function checkPersonal(personal: true | PersonalFields, provider: Provider, problems: Problems): void {
  if (personal !== true) problems.addAll(personalProblems(personal, '/personal'));
  else if (provider.personal === undefined)
    problems.add(
      '/personal',
      `Must be a list of { subject, fields }: the provider ${provider.name} has none of its own.`,
    );
}

function checkDedupeKey(expression: string, problems: Problems): void {
  try {
    new DedupeKey(expression);
  } catch (error) {
    problems.add('/dedupeKey', messageOf(error));
  }
}

function checkDuration(
  duration: string,
  pointer: string,
  [least, most]: readonly [least: number, most: number],
  problems: Problems,
): void {
  const ms = tryParseDuration(duration);
  if (ms === undefined || ms < least || ms > most)
    problems.add(pointer, `Must be a duration from 1s to ${most / DAY_MS}d, such as 1m or 1h.`);
}

/** Whether a config says where and as whom the sender can be asked. */
export const isAskable = (provider: Provider | undefined, config: JsonObject): boolean =>
  provider?.reconcile !== undefined && provider.reconcile.needs.every((key) => config[key] !== undefined);

/** Whether an integration's sender is asked. With a `dedupeKey` the log does not know the ids that the sender names. */
export const canReconcile = (
  provider: Provider | undefined,
  { config, dedupeKey }: { readonly config: JsonObject; readonly dedupeKey?: unknown },
): boolean => dedupeKey === undefined && isAskable(provider, config);
