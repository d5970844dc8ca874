import type {
  CreatedIntegration,
  HandshakeAnswer,
  IntegrationAnswer,
} from '#libs/events/src/shapes/integration-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { ServerSaidNo, UsageError } from '../failures.js';
import { pairsOf, secretIn } from '../options.js';
import { all } from '../pages.js';
import { presetNamed } from '../provider.js';
import type { Shell } from '../shell.js';

const PATH = '/api/v1/integrations';

/** An integration that was named by its id or its name. */
export async function found(shell: Shell, given: string): Promise<IntegrationAnswer> {
  if (/^int_\w+$/.test(given)) return shell.call('GET', `${PATH}/${given}`);
  const named = (await all<IntegrationAnswer>(shell, PATH)).filter(({ name }) => name === given);
  if (named.length === 1) return named[0]!;
  throw new ServerSaidNo(
    404,
    'integration.not_found',
    named.length === 0
      ? `There is no integration "${given}". millrace integration ls lists the integrations.`
      : `${named.length} integrations are called "${given}": name one by its id, ${named.map(({ id }) => id).join(' or ')}.`,
  );
}

export async function list(shell: Shell): Promise<void> {
  const integrations = await all<IntegrationAnswer>(shell, PATH);
  if (shell.json) return shell.print(stringifyJson(integrations, 2));
  if (shell.quiet) return integrations.forEach(({ id }) => shell.print(id));
  if (integrations.length === 0)
    return shell.note(
      'There are no integrations. Create one: millrace integration create --preset stripe --name billing',
    );
  shell.table(
    ['ID', 'NAME', 'SENDER', 'STATUS', 'RECEIVED', 'REFUSED', 'LAST'],
    integrations.map(({ id, name, provider, preset, enabled, counts, lastReceivedAt }) => [
      id,
      name,
      preset ?? provider,
      enabled ? 'enabled' : 'disabled',
      String(counts.received),
      String(Object.values(counts.refused).reduce((sum, count) => sum + count, 0)),
      lastReceivedAt ?? '–',
    ]),
  );
}

export async function view(shell: Shell, given: string): Promise<void> {
  const integration = await found(shell, given);
  shell.print(shell.quiet ? integration.id : stringifyJson(integration, 2));
}

export interface CreateOptions {
  readonly name: string;
  readonly preset?: string;
  readonly provider?: string;
  readonly secret?: string;
  readonly config?: readonly string[];
  readonly customPath?: string;
}

export async function create(shell: Shell, options: CreateOptions, env: NodeJS.ProcessEnv): Promise<void> {
  const { name, preset, provider = 'generic_webhook', customPath } = options;
  const secret = secretIn(options.secret, env);
  const made = await shell.call<CreatedIntegration>('POST', PATH, {
    name,
    provider,
    ...(preset !== undefined && { preset }),
    ...(secret !== undefined && { secret }),
    ...(customPath !== undefined && { customPath }),
    config: pairsOf('--config', options.config),
  });
  if (shell.json) return shell.print(stringifyJson(made, 2));
  if (shell.quiet) return shell.print(made.id);
  shell.print(`${made.id} "${made.name}" receives at\n  ${made.url}`);
  if (preset === undefined) return;
  const { title, help } = await presetNamed(shell, preset);
  shell.print(`\nAt ${title}:`);
  help.forEach((step, nth) => shell.print(`  ${nth + 1}. ${step.replaceAll('{url}', made.url)}`));
}

export interface UpdateOptions {
  readonly name?: string;
  readonly secret?: string;
  readonly graceSeconds?: string;
  readonly config?: readonly string[];
  readonly enable?: true;
  readonly disable?: true;
}

export async function update(shell: Shell, given: string, options: UpdateOptions): Promise<void> {
  if (options.enable && options.disable) throw new UsageError('Use --enable or --disable, not both.');
  const { id, config } = await found(shell, given);
  const secret = options.secret === undefined ? undefined : secretIn(options.secret, {});
  const changes = {
    ...(options.name !== undefined && { name: options.name }),
    ...(secret !== undefined && { secret }),
    ...(options.graceSeconds !== undefined && { graceSeconds: Number(options.graceSeconds) }),
    ...(options.config && { config: withChanges(config, pairsOf('--config', options.config)) }),
    ...(options.enable && { enabled: true }),
    ...(options.disable && { enabled: false }),
  };
  if (Object.keys(changes).length === 0) throw new UsageError('Set at least one option: see --help.');
  const changed = await shell.call<IntegrationAnswer>('PATCH', `${PATH}/${id}`, changes);
  if (shell.json) return shell.print(stringifyJson(changed, 2));
  shell.print(shell.quiet ? id : `${id} "${changed.name}" is saved, ${changed.enabled ? 'enabled' : 'disabled'}.`);
}

/** The server takes the whole config; masked secrets keep their values. */
const withChanges = (config: Readonly<Record<string, unknown>>, changes: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries({ ...config, ...changes }).filter(([, value]) => value !== null));

export async function remove(shell: Shell, given: string): Promise<void> {
  const { id } = await found(shell, given);
  await shell.call('DELETE', `${PATH}/${id}`);
  if (shell.json) return shell.print(stringifyJson({ id, status: 'deleted' }, 2));
  shell.print(shell.quiet ? id : `${id} is deleted. Its events stay.`);
}

interface Reconciled {
  readonly checked: number;
  readonly missing: readonly { readonly deliveryId: string; readonly eventType: string; readonly requested: boolean }[];
  readonly more?: boolean;
  readonly failure?: { readonly code: string; readonly detail: string };
}

/** @returns 1 where the comparison is incomplete. */
export async function reconcile(shell: Shell, given: string): Promise<number> {
  const { id } = await found(shell, given);
  const { checked, missing, more, failure, ...rest } = await shell.call<Reconciled>('POST', `${PATH}/${id}/reconcile`);
  const exitCode = failure ? 1 : 0;
  if (shell.json) shell.print(stringifyJson({ checked, missing, more, failure, ...rest }, 2));
  else if (shell.quiet) for (const { deliveryId } of missing) shell.print(deliveryId);
  else {
    shell.print(`${checked} deliveries compared, ${missing.length} missing.`);
    if (missing.length > 0)
      shell.table(
        ['DELIVERY', 'TYPE', 'REQUESTED AGAIN'],
        missing.map(({ deliveryId, eventType, requested }) => [deliveryId, eventType, requested ? 'yes' : 'no']),
      );
    if (more) shell.note('More deliveries are missing. They are requested in ten minutes.');
  }
  if (failure) shell.note(`The comparison is incomplete: ${failure.code}: ${failure.detail}`);
  return exitCode;
}

export async function handshake(shell: Shell, given: string, { open }: { readonly open?: true }): Promise<void> {
  const { id } = await found(shell, given);
  const answer = await shell.call<HandshakeAnswer>(open ? 'POST' : 'GET', `${PATH}/${id}/handshake`);
  if (shell.json) return shell.print(stringifyJson(answer, 2));
  const { status, openUntil, verificationToken, confirmUrl } = answer;
  if (shell.quiet) return shell.print(verificationToken ?? confirmUrl ?? status);
  shell.print(`status: ${status}`);
  if (openUntil !== null) shell.print(`The secret of the next handshake is adopted until ${openUntil}.`);
  if (verificationToken !== null) shell.print(`Enter this token in the sender's settings:\n  ${verificationToken}`);
  if (confirmUrl !== null)
    shell.print(`Open this address to confirm the subscription, if you expect it:\n  ${confirmUrl}`);
}
