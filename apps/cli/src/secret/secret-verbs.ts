import { readFileSync } from 'node:fs';

import type { SecretAnswer } from '#libs/events/src/shapes/secret-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { UsageError } from '../failures.js';
import { AS_OF, nowOrThen } from '../nouns/as-of.js';
import type { Given, Verb } from '../nouns/verb-table.js';
import { all } from '../pages.js';
import type { Shell } from '../shell.js';

const PATH = '/api/v1/secrets';
const pathOf = (name: string): string => `${PATH}/${encodeURIComponent(name)}`;
const VALUE_FILE = ['--value-file <file>', 'read the value from this file; default: the standard input'] as const;

/** The verbs of `millrace secret`. A value is never an argument, which other users of the machine could see. */
export const secretVerbs: readonly Verb[] = [
  {
    usage: 'ls',
    does: 'list secrets: names and times, never values',
    options: [AS_OF],
    run: nowOrThen('secrets', list),
  },
  {
    usage: 'set <name>',
    does: 'create a secret or replace its value; a line break at the end of the value is dropped',
    options: [VALUE_FILE],
    run: set,
  },
  { usage: 'create <name>', does: 'the same as set', options: [VALUE_FILE], run: set },
  { usage: 'update <name>', does: 'the same as set', options: [VALUE_FILE], run: set },
  {
    usage: 'view <name>',
    does: 'show when a secret was set, never its value',
    options: [AS_OF],
    run: nowOrThen('secrets', view),
  },
  { usage: 'rm <name>', does: 'remove a secret and delete its value', run: remove },
];

async function list(shell: Shell): Promise<void> {
  const secrets = await all<SecretAnswer>(shell, PATH);
  if (shell.json) return shell.print(stringifyJson(secrets, 2));
  if (shell.quiet) return secrets.forEach(({ name }) => shell.print(name));
  if (secrets.length === 0) return shell.note('There are no secrets. Set one: millrace secret set API_KEY < key.txt');
  shell.table(
    ['NAME', 'CREATED', 'UPDATED'],
    secrets.map(({ name, createdAt, updatedAt }) => [name, createdAt, updatedAt]),
  );
}

async function view(shell: Shell, [name]: readonly string[]): Promise<void> {
  const secret = (await all<SecretAnswer>(shell, PATH)).find((one) => one.name === name);
  if (!secret) throw new UsageError(`There is no secret ${name}. millrace secret ls lists the existing ones.`);
  if (shell.json) shell.print(stringifyJson(secret, 2));
  else if (shell.quiet) shell.print(secret.name);
  else shell.table(['NAME', 'CREATED', 'UPDATED'], [[secret.name, secret.createdAt, secret.updatedAt]]);
}

async function set(shell: Shell, [name]: readonly string[], { valueFile }: Given): Promise<void> {
  const value = valueIn(typeof valueFile === 'string' ? valueFile : undefined);
  const saved = await shell.call<SecretAnswer>('PUT', pathOf(name!), { value });
  if (shell.json) return shell.print(stringifyJson(saved, 2));
  shell.print(shell.quiet ? saved.name : `${saved.name} is set. Use it in workflows as \${{ secrets.${saved.name} }}.`);
}

async function remove(shell: Shell, [name]: readonly string[]): Promise<void> {
  await shell.call('DELETE', pathOf(name!));
  if (shell.json) return shell.print(stringifyJson({ name, status: 'removed' }, 2));
  shell.print(shell.quiet ? name! : `${name} is removed. Steps that use it fail from now on.`);
}

function valueIn(file: string | undefined): string {
  // A terminal would show what is typed.
  if (file === undefined && process.stdin.isTTY)
    throw new UsageError('Pipe the value to the standard input, or use --value-file <file>.');
  try {
    return readFileSync(file ?? 0, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new UsageError(`${file ?? 'The standard input'} cannot be read: ${(error as Error).message}`);
  }
}
