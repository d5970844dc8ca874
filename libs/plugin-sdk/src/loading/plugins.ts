import { compileShape } from '#libs/events/src/shapes/shape-check.js';
import { messageOf, Rejected } from '#libs/kernel/src/errors.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { isObject } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';

import { ACTION_NAME, type ActionDefinition, BUILT_IN_ACTIONS } from '../define-action.js';
import { type Plugin, SDK_VERSION } from '../define-plugin.js';
import type { Provider } from '../define-provider.js';
import type { StepDefinition } from '../define-step.js';
import { checkProvider } from './provider-shape.js';
import type { Preset } from '../scheme/define-preset.js';
import { unusable } from './unusable.js';

/** Everything that plug-ins add, the built-in ones included. Its own injection token. */
export class Plugins {
  readonly providers: ReadonlyMap<string, Provider>;
  readonly presets: ReadonlyMap<string, Preset>;
  readonly steps: ReadonlyMap<string, StepDefinition>;
  readonly actions: ReadonlyMap<string, ActionDefinition>;
  /** All that understand integrations, by {@link providerKey}. */
  readonly understanding: ReadonlyMap<string, Provider>;
  /** Of the events that integrations receive: a preset is a source of its own. */
  readonly sources: readonly string[];

  /**
   * All or nothing.
   * @throws Rejected `plugin.unusable` if one is malformed or two claim the same name.
   */
  constructor(readonly plugins: readonly Plugin[]) {
    for (const plugin of plugins) checkPlugin(plugin);
    // Only what every one of them has passed: there is no state in which some are there and others not.
    this.providers = byName(plugins, 'provider', (plugin) => plugin.providers);
    this.presets = byName(plugins, 'preset', (plugin) => plugin.presets);
    this.sources = [...this.providers.keys(), ...this.presets.keys()].sort();
    const declared = this.providers.get(PRESETS_OF);
    this.understanding = new Map([
      ...this.providers,
      ...[...this.presets.values()].map(
        (preset) => [providerKey(PRESETS_OF, preset.name), withPreset(declared, preset)] as const,
      ),
    ]);
    this.steps = byName(plugins, 'step', (plugin) => plugin.steps);
    this.actions = byName(plugins, 'action', (plugin) => plugin.actions);
  }

  /** The code that understands an integration. */
  providerFor(provider: string, preset: string | undefined): Provider | undefined {
    return this.understanding.get(providerKey(provider, preset));
  }
}

/** The name of what understands an integration: its provider, or its provider with a preset. */
export const providerKey = (provider: string, preset: string | undefined): string =>
  preset === undefined ? provider : `${provider}/${preset}`;

/** The provider whose integrations may name a preset. */
export const PRESETS_OF = 'generic_webhook';

function withPreset(provider: Provider | undefined, preset: Preset): Provider {
  if (!provider?.withPreset)
    throw unusable(preset.name, `a preset needs the provider ${PRESETS_OF}, which is not loaded`);
  try {
    return provider.withPreset(preset);
  } catch (error) {
    throw unusable(preset.name, `its preset ${preset.name} cannot be used: ${messageOf(error)}`, error);
  }
}

/** All of them: one that is added to the type and not here does not compile. */
const KEYS = Object.keys({
  name: true,
  sdk: true,
  providers: true,
  presets: true,
  steps: true,
  actions: true,
  // For people.
  version: true,
  description: true,
} satisfies Record<keyof Plugin | 'version' | 'description', true>);

/** A plug-in comes from somebody else's module: nothing about its shape can be taken for granted. */
export function checkPlugin(plugin: unknown, specifier?: string): asserts plugin is Plugin {
  try {
    checkShape(plugin, specifier);
  } catch (error) {
    if (error instanceof Rejected) throw error;
    // A getter, or a proxy.
    throw unusable(specifier ?? 'a plug-in', `it throws while it is checked: ${messageOf(error)}`, error);
  }
}

function checkShape(plugin: unknown, specifier: string | undefined): void {
  if (!isObject(plugin) || typeof plugin['name'] !== 'string' || plugin['name'] === '')
    throw unusable(
      specifier ?? 'a plug-in',
      'its default export is not a plug-in: export default definePlugin({ name, sdk: 1, … })',
    );
  const name = specifier === undefined ? plugin['name'] : `${plugin['name']} (${specifier})`;
  if (plugin['sdk'] !== SDK_VERSION)
    throw unusable(
      name,
      `it was written for sdk ${stringifyJson(plugin['sdk'])}, but this server has sdk ${SDK_VERSION}: use another version of the plug-in or the server`,
    );
  // `provider` in place of `providers` would add nothing, without a word.
  const unknown = Object.keys(plugin).find((key) => !KEYS.includes(key));
  if (unknown !== undefined)
    throw unusable(name, `its key ${unknown} is unknown. ${suggestion(unknown, KEYS)}Allowed: ${KEYS.join(', ')}`);
  for (const provider of listOf(plugin, 'providers', name)) checkProvider(provider, name);
  for (const preset of listOf(plugin, 'presets', name)) checkPreset(preset, name);
  for (const step of listOf(plugin, 'steps', name)) {
    if (!isObject(step) || typeof step['name'] !== 'string' || typeof step['run'] !== 'function')
      throw unusable(name, 'each of its steps needs a name and a function run: use defineStep');
    if (!isObject(step['inputSchema']))
      throw unusable(name, `its step ${step['name']} needs an inputSchema, such as Type.Object({ … })`);
    if (typeof step['effects'] !== 'boolean')
      throw unusable(name, `its step ${step['name']} needs effects: true or false`);
  }
  for (const action of listOf(plugin, 'actions', name)) checkAction(action, name);
}

function checkPreset(preset: unknown, plugin: string): void {
  if (!isObject(preset) || typeof preset['name'] !== 'string' || !PRESET_NAME.test(preset['name']))
    throw unusable(plugin, 'each preset needs a name of lower-case letters, digits and -: use definePreset');
  const { name, declare, title, docs, help, secret } = preset;
  if (typeof declare !== 'function') throw unusable(plugin, `its preset ${name} has no function declare`);
  if (typeof title !== 'string' || typeof docs !== 'string' || !Array.isArray(help) || !isObject(secret))
    throw unusable(plugin, `its preset ${name} needs title, docs, secret and help, so that people can set it up`);
}

const PRESET_NAME = /^[a-z][a-z0-9-]{1,39}$/;

function checkAction(action: unknown, plugin: string): void {
  if (!isObject(action) || typeof action['name'] !== 'string' || !ACTION_NAME.test(action['name']))
    throw unusable(
      plugin,
      'each action needs a name of 2 to 40 lower-case letters, digits, - and _, beginning with a letter: use defineAction',
    );
  const { name, description, run, inputSchema } = action;
  if ((BUILT_IN_ACTIONS as readonly string[]).includes(name))
    throw unusable(plugin, `its action ${name} has the name of a built-in action: rename it`);
  if (typeof run !== 'function') throw unusable(plugin, `its action ${name} has no function run`);
  if (typeof description !== 'string' || description.trim() === '')
    throw unusable(plugin, `its action ${name} has no description: write one sentence`);
  if (!isObject(inputSchema))
    throw unusable(plugin, `its action ${name} needs an inputSchema, such as Type.Object({ … })`);
  try {
    compileShape(inputSchema as ActionDefinition['inputSchema']);
  } catch (error) {
    throw unusable(plugin, `the inputSchema of its action ${name} is not a JSON Schema: ${messageOf(error)}`, error);
  }
}

function listOf(plugin: Record<string, unknown>, key: string, name: string): readonly unknown[] {
  const list = plugin[key] ?? [];
  if (!Array.isArray(list)) throw unusable(name, `${key} must be a list`);
  return list;
}

function byName<Thing extends { readonly name: string }>(
  plugins: readonly Plugin[],
  kind: string,
  thingsOf: (plugin: Plugin) => readonly Thing[] | undefined,
): ReadonlyMap<string, Thing> {
  const found = new Map<string, Thing>();
  const owners = new Map<string, string>();
  for (const plugin of plugins)
    for (const thing of thingsOf(plugin) ?? []) {
      const owner = owners.get(thing.name);
      if (owner !== undefined)
        throw unusable(plugin.name, `its ${kind} ${thing.name} exists already, in ${owner}: rename one of them`);
      owners.set(thing.name, plugin.name);
      found.set(thing.name, thing);
    }
  return found;
}
