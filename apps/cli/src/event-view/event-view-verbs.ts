import type { EventViewAnswer } from '#libs/events/src/shapes/audit/event-view-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { UsageError } from '../failures.js';
import type { Given, Verb } from '../nouns/verb-table.js';
import { all } from '../pages.js';
import type { Shell } from '../shell.js';

const PATH = '/api/v1/event-views';
const pathOf = (name: string): string => `${PATH}/${encodeURIComponent(name)}`;

const FILTERS = [
  ['--type <types>', 'a type, a glob such as pr.*, or several with commas'],
  ['--source <source>', 'a source or a glob'],
  ['--subject <subject>', 'a subject or a glob: repository/acme/*'],
  ['--correlation <event>', 'events of one story, by the id of its first event'],
  ['--actor <actor>', 'who caused it, or a glob: integration/*'],
  ['--text <words>', 'words that stand in texts of the data'],
  ['--filter <expression>', "JMESPath over the event: data.branch == 'main'"],
  ['--from <time>', 'RFC 3339, inclusive'],
  ['--to <time>', 'RFC 3339, exclusive'],
] as const;

/** The verbs of `millrace event-view`. */
export const eventViewVerbs: readonly Verb[] = [
  { usage: 'ls', does: 'list saved views of the log', run: list },
  { usage: 'view <name>', does: 'show a saved view', run: view },
  { usage: 'create <name>', does: 'save a view; a repeat changes nothing', options: FILTERS, run: create },
  { usage: 'update <name>', does: 'replace the filter of a saved view', options: FILTERS, run: update },
  { usage: 'rm <name>', does: 'remove a saved view', run: remove },
];

async function list(shell: Shell): Promise<void> {
  const views = await all<EventViewAnswer>(shell, PATH);
  if (shell.json) return shell.print(stringifyJson(views, 2));
  if (shell.quiet) return views.forEach(({ name }) => shell.print(name));
  if (views.length === 0)
    return shell.note('There are no saved views. Save one: millrace event-view create <name> --type <types>');
  shell.table(
    ['NAME', 'FILTER'],
    views.map(({ name, filter }) => [name, textOf(filter)]),
  );
}

const textOf = (filter: EventViewAnswer['filter']): string =>
  Object.entries(filter)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');

async function view(shell: Shell, [name]: readonly string[]): Promise<void> {
  said(shell, await shell.call<EventViewAnswer>('GET', pathOf(name!)));
}

async function create(shell: Shell, [name]: readonly string[], options: Given): Promise<void> {
  said(shell, await shell.call<EventViewAnswer>('POST', PATH, { name, filter: filterOf(options) }));
}

async function update(shell: Shell, [name]: readonly string[], options: Given): Promise<void> {
  said(shell, await shell.call<EventViewAnswer>('PUT', pathOf(name!), { filter: filterOf(options) }));
}

async function remove(shell: Shell, [name]: readonly string[]): Promise<void> {
  await shell.call('DELETE', pathOf(name!));
  if (!shell.json) shell.print(shell.quiet ? name! : `${name} is removed.`);
}

function filterOf(options: Given): Record<string, unknown> {
  const names = FILTERS.map(([flag]) => flag.slice('--'.length, flag.indexOf(' ')));
  const filter = Object.fromEntries(
    names.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
  );
  if (Object.keys(filter).length === 0) throw new UsageError('Say what the view shows, such as --type webhook.failed.');
  return filter;
}

function said(shell: Shell, answer: EventViewAnswer): void {
  if (shell.json) shell.print(stringifyJson(answer, 2));
  else shell.print(shell.quiet ? answer.name : `${answer.name}: ${textOf(answer.filter)}`);
}
