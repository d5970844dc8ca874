import type { Command } from 'commander';

import type { PresetAnswer, ProviderAnswer, ProviderList } from '#libs/events/src/shapes/provider-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';

import { ServerSaidNo } from './failures.js';
import type { Act, Shell } from './shell.js';

/** `millrace provider …` */
export function providerCommands(program: Command, act: Act): void {
  const provider = program.command('provider').description('list providers and presets');
  provider
    .command('ls')
    .description('list providers, and presets for known senders')
    .action(() => act((shell) => list(shell)));
  provider
    .command('view <name>')
    .description("show a provider or a preset: settings, secret, and the steps in the sender's settings")
    .addHelpText('after', '\nExample:\n  millrace provider view stripe')
    .action((name: string) => act((shell) => view(shell, name)));
}

const providersOf = async (shell: Shell): Promise<readonly ProviderAnswer[]> =>
  (await shell.call<ProviderList>('GET', '/api/v1/providers')).data;

async function list(shell: Shell): Promise<void> {
  const providers = await providersOf(shell);
  const presets = providers.flatMap((provider) => provider.presets);
  if (shell.json) return shell.print(stringifyJson(providers, 2));
  if (shell.quiet) return [...providers, ...presets].forEach(({ name }) => shell.print(name));
  shell.table(
    ['NAME', 'KIND', 'WHAT'],
    [
      ...providers.map(({ name, description }) => [name, 'provider', description]),
      ...presets.map(({ name, title }) => [name, 'preset', title]),
    ],
  );
}

export async function presetNamed(shell: Shell, name: string): Promise<PresetAnswer> {
  const preset = (await providersOf(shell)).flatMap(({ presets }) => presets).find((one) => one.name === name);
  if (preset) return preset;
  throw new ServerSaidNo(404, 'preset.not_found', `There is no preset "${name}". millrace provider ls lists them.`);
}

async function view(shell: Shell, name: string): Promise<void> {
  const providers = await providersOf(shell);
  const presets = providers.flatMap((provider) => provider.presets);
  const preset = presets.find((one) => one.name === name);
  const provider = providers.find((one) => one.name === name);
  if (!preset && !provider) {
    const meant = suggestion(
      name,
      [...providers, ...presets].map((one) => one.name),
    );
    const text = `There is no provider or preset "${name}". ${meant}millrace provider ls lists them.`;
    throw new ServerSaidNo(404, 'provider.not_found', text);
  }
  if (shell.quiet) return shell.print(name);
  if (shell.json) return shell.print(stringifyJson(preset ?? provider, 2));
  if (preset) return inWords(preset).forEach((line) => shell.print(line));
  const { presets: known, ...rest } = provider!;
  shell.print(stringifyJson(rest, 2));
  if (known.length > 0) shell.print(`Presets: ${known.map((one) => one.name).join(', ')}`);
}

function inWords({ name, title, docs, verify, settings, secret, signsUrl, unverified, help }: PresetAnswer): string[] {
  const { properties = {}, required = [] } = settings as {
    properties?: Readonly<Record<string, { description?: string }>>;
    required?: readonly string[];
  };
  const keys = Object.entries(properties).map(
    ([key, { description = '' }]) => `  ${key}${required.includes(key) ? ' (required)' : ''}: ${description}`,
  );
  return [
    `${title} (preset ${name})`,
    `  ${docs}`,
    ...(unverified ? ["  Not yet verified against the sender's documentation: check the first request."] : []),
    ...(signsUrl
      ? ['  The signature covers the address: set MILLRACE_PUBLIC_URL to the address that the sender calls.']
      : []),
    `Verified by: ${stringifyJson(verify)}`,
    `Secret: ${secret.from}${secret.form === null ? '' : ` Format: ${secret.form}.`}`,
    ...(keys.length === 0 ? [] : ['Settings (--config key=value):', ...keys]),
    'Steps:',
    ...help.map((step, nth) => `  ${nth + 1}. ${step}`),
  ];
}
