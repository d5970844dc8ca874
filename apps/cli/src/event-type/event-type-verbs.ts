import { AS_OF, nowOrThen } from '../nouns/as-of.js';
import type { EventTypeAnswer } from '#libs/events/src/shapes/event-types/event-type-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { UsageError } from '../failures.js';
import type { Given, Verb } from '../nouns/verb-table.js';
import { all } from '../pages.js';
import type { Shell } from '../shell.js';

const PATH = '/api/v1/event-types';
const pathOf = (type: string): string => `${PATH}/${encodeURIComponent(type)}`;

/** The verbs of `millrace event-type`. */
export const eventTypeVerbs: readonly Verb[] = [
  {
    usage: 'ls',
    does: 'list event types',
    options: [['--own', 'without built-in types'], ['--archived', 'archived types too'], AS_OF],
    run: nowOrThen('event-types', list),
  },
  {
    usage: 'view <type>',
    does: 'show an event type with its schema and an example',
    options: [AS_OF],
    run: nowOrThen('event-types', view),
  },
  {
    usage: 'create <file>',
    does: 'create the event type of a file (YAML or JSON with type, description, schema, example); a repeat changes nothing',
    run: create,
  },
  {
    usage: 'update <file>',
    does: 'save a new version of the event type of a file, unless it is the current one',
    run: update,
  },
  { usage: 'archive <type>', does: 'accept no new events of a type; earlier events stay', run: archive },
  { usage: 'rm <type>', does: 'the same as archive', run: archive },
];

async function list(shell: Shell, _: readonly string[], { own, archived }: Given): Promise<void> {
  const types = (await all<EventTypeAnswer>(shell, PATH)).filter(
    (one) => (!own || !one.builtIn) && (archived || !one.archived),
  );
  if (shell.json) return shell.print(stringifyJson(types, 2));
  if (shell.quiet) return types.forEach(({ type }) => shell.print(type));
  if (types.length === 0)
    return shell.note('There are no such event types. Create one: millrace event-type create <file>');
  shell.table(
    ['TYPE', 'KIND', 'VERSION', 'DESCRIPTION'],
    types.map((one) => [one.type, kindOf(one), String(one.version), one.description]),
  );
}

const kindOf = ({ builtIn, system, archived }: EventTypeAnswer): string =>
  archived ? 'archived' : system ? 'system' : builtIn ? 'built-in' : 'own';

async function view(shell: Shell, [type]: readonly string[]): Promise<void> {
  const found = await shell.call<EventTypeAnswer>('GET', pathOf(type!));
  shell.print(shell.quiet ? found.type : stringifyJson(found, 2));
}

async function create(shell: Shell, [file]: readonly string[]): Promise<void> {
  said(shell, await shell.call<EventTypeAnswer>('POST', PATH, (await documentIn(shell, file!)).whole), 'is');
}

async function update(shell: Shell, [file]: readonly string[]): Promise<void> {
  const { type, content } = await documentIn(shell, file!);
  said(shell, await shell.call<EventTypeAnswer>('PUT', pathOf(type), content), 'is now');
}

async function archive(shell: Shell, [type]: readonly string[]): Promise<void> {
  const archived = await shell.call<EventTypeAnswer>('POST', `${pathOf(type!)}/archive`);
  if (shell.json) return shell.print(stringifyJson(archived, 2));
  shell.print(shell.quiet ? archived.type : `${archived.type} is archived. Its events stay.`);
}

function said(shell: Shell, saved: EventTypeAnswer, is: string): void {
  if (shell.json) shell.print(stringifyJson(saved, 2));
  else shell.print(shell.quiet ? saved.type : `${saved.type} ${is} at version ${saved.version}.`);
}

async function documentIn(shell: Shell, file: string) {
  const whole = await shell.read(file);
  const { type, ...content } = (whole ?? {}) as { type?: unknown };
  if (typeof type !== 'string')
    throw new UsageError(`${file} must have "type", "description", "schema" and "example".`);
  return { whole, type, content };
}
