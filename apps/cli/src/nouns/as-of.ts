import type { PastPage } from '#libs/events/src/shapes/audit/as-of-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { UsageError } from '../failures.js';
import { all } from '../pages.js';
import type { Shell } from '../shell.js';
import type { Verb } from './verb-table.js';

type Past = PastPage['data'][number];

/** Kinds of things that can be shown as they were, and what a list shows of them. */
const COLUMNS = {
  rules: ['id', 'name', 'status', 'version', 'updatedAt'],
  workflows: ['name', 'status', 'number', 'version', 'paused', 'updatedAt'],
  'outbound-webhooks': ['id', 'url', 'status', 'updatedAt'],
  integrations: ['id', 'name', 'provider', 'enabled', 'updatedAt'],
  agents: ['id', 'name', 'runtime', 'webhookEnabled', 'updatedAt'],
  secrets: ['name', 'createdAt', 'updatedAt'],
  tokens: ['id', 'name', 'roles', 'expiresAt', 'createdAt'],
  organisations: ['id', 'name', 'createdAt'],
  'event-types': ['type', 'version', 'status', 'updatedAt'],
  issues: ['id', 'title', 'status', 'priority', 'assignee', 'createdAt'],
} as const;
export type PastKindName = keyof typeof COLUMNS;

export const isPastKind = (path: string): path is PastKindName => Object.hasOwn(COLUMNS, path);

export const AS_OF = [
  '--as-of <when>',
  'as it was: a position of the log, or a time such as 2026-11-20T09:00Z',
] as const;

/** `ls` or `view` of what is, or with `--as-of` of what was. */
export const nowOrThen =
  (kind: PastKindName, now: Verb['run']): Verb['run'] =>
  async (shell, args, given) => {
    const { asOf } = given;
    if (typeof asOf !== 'string') return now(shell, args, given);
    const [key] = args;
    return key === undefined ? listPast(shell, kind, asOf) : viewPast(shell, kind, asOf, key);
  };

export async function listPast(shell: Shell, kind: PastKindName, asOf: string): Promise<void> {
  const things = await all<Past>(shell, pathOf(kind, asOf));
  const columns: readonly string[] = COLUMNS[kind];
  if (shell.json) shell.print(stringifyJson(things, 2));
  else if (shell.quiet) for (const thing of things) shell.print(shown(thing[columns[0]!]));
  else if (things.length === 0) shell.note(`There were no ${kind.replaceAll('-', ' ')} then.`);
  else
    shell.table(
      columns.map((column) => column.replace('At', '').toUpperCase()),
      things.map((thing) => columns.map((column) => shown(thing[column]))),
    );
}

/** By its id or its name. */
export async function viewPast(shell: Shell, kind: PastKindName, asOf: string, key: string): Promise<void> {
  const byId = COLUMNS[kind][0] === 'id' && !/^[a-z]{2,4}_\w+$/.test(key);
  let id = key;
  if (byId) {
    const named = (await all<Past>(shell, pathOf(kind, asOf))).filter((thing) => thing['name'] === key);
    if (named.length !== 1)
      throw new UsageError(
        named.length === 0
          ? `There was no "${key}" then. The same command with ls lists what there was.`
          : `${named.length} were called "${key}": name one by its id, ${named.map((one) => shown(one['id'])).join(' or ')}.`,
      );
    id = shown(named[0]!['id']);
  }
  const thing = await shell.call<Past>('GET', `${pathOf(kind, asOf)}/${encodeURIComponent(id)}`);
  if (shell.json) return shell.print(stringifyJson(thing, 2));
  if (shell.quiet) return shell.print(id);
  const { source, ...rest } = thing;
  shell.table(
    ['FIELD', 'VALUE'],
    Object.entries(rest).map(([name, value]) => [name, shown(value)]),
  );
  if (typeof source === 'string') shell.print(`\n${source}`);
}

const pathOf = (kind: string, asOf: string): string => `/api/v1/as-of/${encodeURIComponent(asOf)}/${kind}`;

const shown = (value: unknown): string => {
  if (value === null || value === undefined) return '-';
  return typeof value === 'string' ? value : stringifyJson(value);
};
