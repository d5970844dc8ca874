import { PersonalFields } from '#libs/events/src/personal/personal-shape.js';
import { compileShape, shapeProblems } from '#libs/events/src/shapes/shape-check.js';
import { personalProblems } from '#libs/expressions/src/personal/personal-fields.js';
import { messageOf } from '#libs/kernel/src/errors.js';
import { isObject } from '#libs/kernel/src/json.js';
import { nearest } from '#libs/kernel/src/text/nearest.js';

import { configShape } from '../config-schema.js';
import type { Provider, ProviderConfig } from '../define-provider.js';
import { isProofHeader } from '../proof-headers.js';
import { unusable } from './unusable.js';

/** All of them: one that is added to the type and not here does not compile. */
const KEYS = Object.keys({
  name: true,
  description: true,
  wants: true,
  config: true,
  checkSecret: true,
  keepHeaders: true,
  personal: true,
  anyBody: true,
  communicator: true,
  refusesInbound: true,
  verify: true,
  normalise: true,
  respond: true,
  preflight: true,
  reconcile: true,
  sign: true,
  signRequest: true,
  readsJson: true,
  proofHeaders: true,
  elements: true,
  handshake: true,
  checkIntegration: true,
  described: true,
  explain: true,
  withPreset: true,
  send: true,
  findSent: true,
  isOwnMessage: true,
  tracker: true,
} satisfies Record<keyof Provider, true>);
const PROVIDER_NAME = /^[a-z][a-z0-9_]{1,39}$/;

/**
 * A provider comes from somebody else's module: what it is made of is looked at before anything is begun.
 * @throws Rejected `plugin.unusable`.
 */
export function checkProvider(provider: unknown, plugin: string): void {
  if (!isObject(provider) || typeof provider['name'] !== 'string' || !PROVIDER_NAME.test(provider['name']))
    throw unusable(
      plugin,
      'each provider needs a name of 2 to 40 lower-case letters, digits and _, beginning with a letter',
    );
  // A class may have fields of its own; what is nearly a known name is a typo, and would do nothing.
  for (const key of Object.keys(provider)) {
    const meant = KEYS.includes(key) ? undefined : nearest(key, KEYS);
    if (meant !== undefined)
      throw unusable(plugin, `${key} of its provider ${provider['name']} is unknown. Did you mean ${meant}?`);
  }
  for (const method of ['verify', 'normalise'])
    if (typeof provider[method] !== 'function')
      throw unusable(plugin, `its provider ${provider['name']} has no function ${method}`);
  for (const method of ['normalise', 'respond', 'preflight', 'sign', 'checkSecret'])
    if (isAsync(provider[method]))
      throw unusable(plugin, `${method} of its provider ${provider['name']} must not be async: only verify may be`);
  for (const method of ['respond', 'preflight', 'sign', 'checkSecret', 'send', 'findSent', 'isOwnMessage'])
    if (provider[method] !== undefined && typeof provider[method] !== 'function')
      throw unusable(plugin, `${method} of its provider ${provider['name']} is not a function`);
  for (const flag of ['anyBody', 'communicator'])
    if (provider[flag] !== undefined && typeof provider[flag] !== 'boolean')
      throw unusable(plugin, `${flag} of its provider ${provider['name']} must be true or false`);
  for (const text of ['wants', 'refusesInbound'])
    if (provider[text] !== undefined && typeof provider[text] !== 'string')
      throw unusable(plugin, `${text} of its provider ${provider['name']} must be a string`);
  const { name, keepHeaders = [], config, personal, reconcile } = provider;
  if (!isTexts(keepHeaders) || keepHeaders.some((header) => header !== header.toLowerCase()))
    throw unusable(plugin, `keepHeaders of its provider ${name} is not a list of lower-case header names`);
  const proof = keepHeaders.find(isProofHeader);
  if (proof !== undefined)
    throw unusable(
      plugin,
      `keepHeaders of its provider ${name} has ${proof}, which would be stored with every event: it proves who sent it`,
    );
  if (config !== undefined) checkConfig(config, name, plugin);
  if (personal !== undefined) checkPersonal(personal, name, plugin);
  if (reconcile !== undefined) checkReconcile(reconcile, keysOf(config), name, plugin);
}

function checkPersonal(personal: unknown, provider: string, plugin: string): void {
  const [problem] = shapeProblems(PersonalFields, personal, { prefix: 'plugin', pointer: '' });
  const [wrong] = problem ? [problem] : personalProblems(personal as PersonalFields, '');
  if (wrong)
    throw unusable(plugin, `personal of its provider ${provider} is invalid at ${wrong.pointer}: ${wrong.detail}`);
}

function checkConfig(config: unknown, provider: string, plugin: string): asserts config is ProviderConfig {
  if (!isObject(config) || !isObject(config['properties']))
    throw unusable(plugin, `config of its provider ${provider} has no properties`);
  const keys = keysOf(config);
  // A text in place of the list would leave every secret in plain text.
  for (const list of ['required', 'secrets'])
    if (config[list] !== undefined && !isTexts(config[list], keys))
      throw unusable(plugin, `${list} in config of its provider ${provider} is not a list of keys of its properties`);
  try {
    compileShape(configShape(config as unknown as ProviderConfig));
  } catch (error) {
    throw unusable(
      plugin,
      `config of its provider ${provider} has properties that are not JSON Schemas: ${messageOf(error)}`,
      error,
    );
  }
}

function checkReconcile(reconcile: unknown, keys: readonly string[], provider: string, plugin: string): void {
  if (!isObject(reconcile) || typeof reconcile['run'] !== 'function')
    throw unusable(plugin, `reconcile of its provider ${provider} has no function run`);
  if (!isTexts(reconcile['needs'], keys))
    throw unusable(plugin, `needs in reconcile of its provider ${provider} is not a list of keys of its config`);
}

const keysOf = (config: unknown): readonly string[] =>
  isObject(config) && isObject(config['properties']) ? Object.keys(config['properties']) : [];

/** Whether it is a list of texts, and of nothing but these where some are given. */
const isTexts = (value: unknown, among?: readonly string[]): value is readonly string[] =>
  Array.isArray(value) &&
  [...(value as readonly unknown[])].every(
    (one) => typeof one === 'string' && (among === undefined || among.includes(one)),
  );

/** Also of functions that were made elsewhere: `instanceof` knows those of one realm alone. */
const isAsync = (method: unknown): boolean =>
  typeof method === 'function' &&
  /^\[object (Async|Generator|AsyncGenerator)/.test(Object.prototype.toString.call(method));
