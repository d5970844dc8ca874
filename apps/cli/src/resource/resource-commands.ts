import type { Command } from 'commander';

import type { Json } from '#libs/kernel/src/json.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { UsageError } from '../failures.js';
import { AS_OF, isPastKind, nowOrThen } from '../nouns/as-of.js';
import { addVerbs, type Given, type Verb } from '../nouns/verb-table.js';
import { dashed, jsonOr, secretIn } from '../options.js';
import { all } from '../pages.js';
import type { Act, Shell } from '../shell.js';
import { type Action, type Field, type Resource, resources } from './resources.js';

type Row = Readonly<Record<string, Json>>;

/** `millrace <noun> ls|view|create|update|rm` and further verbs, for every row of the table. */
export function resourceCommands(program: Command, act: Act): void {
  for (const resource of resources)
    addVerbs(program.command(resource.noun).description(resource.does), verbsOf(resource), act);
}

function verbsOf(resource: Resource): readonly Verb[] {
  const { noun, path, create, update, remove, view, actions = [], verbs = [] } = resource;
  const past = isPastKind(path) ? [AS_OF] : [];
  const withPast = (run: Verb['run']): Verb['run'] => (isPastKind(path) ? nowOrThen(path, run) : run);
  return [
    lister(resource, past, withPast),
    ...(view === false
      ? []
      : [
          {
            usage: `view <${noun}>`,
            does: 'show one',
            options: past,
            run: withPast(viewer(resource)),
          } satisfies Verb,
        ]),
    ...(create ? [writer(resource, 'create', create)] : []),
    ...(update ? [writer(resource, 'update', update)] : []),
    ...(remove
      ? [
          {
            usage: `rm <${noun}>`,
            does: remove.does,
            run: async (shell, [id]) => {
              await shell.call('DELETE', one(resource, id!));
              if (!shell.quiet) shell.note(`${remove.done} ${id}.`);
            },
          } satisfies Verb,
        ]
      : []),
    ...actions.map((action) => actor(resource, action)),
    ...verbs,
  ];
}

const one = ({ path }: Resource, id: string): string => `/api/v1/${path}/${encodeURIComponent(id)}`;

function lister(
  { path, columns, filters = [], paged }: Resource,
  past: Verb['options'] & object,
  withPast: (run: Verb['run']) => Verb['run'],
): Verb {
  return {
    usage: 'ls',
    does: 'list them',
    options: [...filters.map((name) => [`${flagOf(name)} <value>`, `only those with this ${name}`] as const), ...past],
    run: withPast(async (shell, _, options) => {
      const given = filters.flatMap((name) => {
        const value = options[name];
        return typeof value === 'string' ? [[name, value] as [string, string]] : [];
      });
      const query = new URLSearchParams(given).toString();
      const place = `/api/v1/${path}${query === '' ? '' : `?${query}`}`;
      const rows =
        paged === false
          ? (await shell.call<{ readonly data: readonly Row[] }>('GET', place)).data
          : await all<Row>(shell, place);
      if (shell.json) shell.print(stringifyJson(rows, 2));
      else if (shell.quiet) for (const row of rows) shell.print(shown(row['id'] ?? row['name'] ?? null));
      else
        shell.table(
          columns.map((column) => column.toUpperCase()),
          rows.map((row) => columns.map((column) => shown(row[column] ?? null))),
        );
    }),
  };
}

const viewer =
  (resource: Resource): Verb['run'] =>
  async (shell, [id]) =>
    show(shell, await shell.call<Row>('GET', one(resource, id!)));

function writer(resource: Resource, verb: 'create' | 'update', fields: readonly Field[]): Verb {
  const isNew = verb === 'create';
  return {
    usage: isNew ? 'create' : `update <${resource.noun}>`,
    does: isNew ? 'create one' : 'change one',
    options: fields.map(optionOf),
    run: async (shell, [id], options) => {
      const body = bodyOf(fields, options);
      if (!isNew && Object.keys(body).length === 0)
        throw new UsageError(`Say what to change: ${fields.map(({ name, flag = name }) => flagOf(flag)).join(', ')}.`);
      const answer = isNew
        ? await shell.call<Row>('POST', `/api/v1/${resource.path}`, body)
        : await shell.call<Row>('PATCH', one(resource, id!), body);
      show(shell, answer);
    },
  };
}

const actor = (resource: Resource, { verb, does, path, body, fields = [] }: Action): Verb => ({
  usage: `${verb} <${resource.noun}>`,
  does,
  options: fields.map(optionOf),
  run: async (shell, [id], options) => {
    const sent = { ...body, ...bodyOf(fields, options) };
    const at = one(resource, id!);
    const [method, place] = path === undefined ? ['PATCH', at] : ['POST', `${at}/${path}`];
    show(shell, await shell.call<Row | undefined>(method, place, sent));
  },
});

const flagOf = (name: string): string => `--${dashed(name)}`;

const optionOf = ({ name, kind, meaning, flag = name }: Field): readonly [string, string] => {
  if (kind === 'switch') return [flagOf(flag), meaning];
  return [`${flagOf(flag)} <${kind === 'list' ? 'value' : kind}>${kind === 'list' ? '...' : ''}`, meaning];
};

/** `--enabled` is `disabled: false`. */
function bodyOf(fields: readonly Field[], options: Given): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const { name, kind, flag = name } of fields) {
    const value = options[flag];
    if (value === undefined) continue;
    if (kind === 'switch') body[name === 'enabled' ? 'disabled' : name] = name !== 'enabled';
    else if (kind === 'number') {
      if (!Number.isFinite(Number(value))) throw new UsageError(`${flagOf(flag)} must be a number.`);
      body[name] = Number(value);
    } else if (kind === 'time') body[name] = value === 'never' ? null : value;
    else if (kind === 'secret') body[name] = secretIn(String(value), {});
    else body[name] = kind === 'json' ? jsonOr(String(value)) : value;
  }
  return body;
}

function show(shell: Shell, answer: Row | undefined): void {
  if (shell.json) shell.print(stringifyJson(answer ?? {}, 2));
  else if (shell.quiet) shell.print(shown(answer?.['id'] ?? null));
  else if (answer)
    shell.table(
      ['FIELD', 'VALUE'],
      Object.entries(answer).map(([name, value]) => [name, shown(value)]),
    );
}

const shown = (value: Json): string => {
  if (value === null) return '-';
  return typeof value === 'string' ? value : stringifyJson(value);
};
