import { parseAsWritten, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { EXIT, UsageError } from '../failures.js';
import type { Given, Verb } from '../nouns/verb-table.js';
import { jsonOr } from '../options.js';
import { pages } from '../pages.js';
import type { Shell } from '../shell.js';
import { followEvents, noteOf } from './follow-events.js';

const PATH = '/api/v1/events';
const pathOf = (id: string): string => `${PATH}/${encodeURIComponent(id)}`;

/** An event as the API answers it, as much of it as is shown. */
interface Event {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly subject: string;
  readonly timestamp: string;
  readonly metadata: { readonly position: string; readonly receivedAt: string; readonly quarantine?: object };
}

interface TraceNode extends Omit<Event, 'metadata'> {
  readonly quarantined?: true;
  readonly gapMs?: number;
  readonly children: readonly TraceNode[];
}

const FILTERS = ['view', 'type', 'source', 'subject', 'correlation', 'actor', 'text', 'filter'] as const;
const FILTER_OPTIONS = [
  ['--view <name>', 'a saved view; further filters replace those of the view'],
  ['--type <types>', 'a type, a glob such as pr.*, or several with commas'],
  ['--source <source>', 'a source or a glob'],
  ['--subject <subject>', 'a subject or a glob: repository/acme/*'],
  ['--correlation <event>', 'events of one story, by the id of its first event'],
  ['--actor <actor>', 'who caused it, or a glob: integration/*'],
  ['--text <words>', 'words that stand in texts of the data'],
  ['--filter <expression>', "JMESPath over the event: data.branch == 'main'"],
] as const;
const EVENT_OPTIONS = [
  ['--type <type>', 'its type; without a file'],
  ['--data <json>', 'its data; without a file'],
  ['--source <source>', 'where it comes from; default: api'],
  ['--subject <subject>', 'what it is about'],
] as const;

/** What `millrace event` does with the events of the log. */
export const eventVerbs: readonly Verb[] = [
  {
    usage: 'ls',
    does: 'search the log, newest first',
    options: [
      ...FILTER_OPTIONS,
      ['--from <time>', 'RFC 3339, inclusive'],
      ['--to <time>', 'RFC 3339, exclusive'],
      ['--limit <n>', 'at most so many; default: 50'],
    ],
    run: list,
  },
  { usage: 'view <event>', does: 'show an event with its data and metadata', run: view },
  {
    usage: 'create [file]',
    does: 'publish an event: a YAML or JSON file with type and data (- is the standard input), or --type and --data',
    options: EVENT_OPTIONS,
    run: create,
  },
  { usage: 'publish [file]', does: 'the same as create', options: EVENT_OPTIONS, run: create },
  {
    usage: 'tail',
    does: 'show events as they are recorded, until Ctrl-C; with --json one a line',
    options: [...FILTER_OPTIONS, ['--after <position>', 'begin after this position; 0: with the first event']],
    run: tail,
  },
  { usage: 'trace <event>', does: 'show the story of an event: all that led to it and followed from it', run: trace },
  {
    usage: 'quarantine <event>',
    does: 'mark an event as bad: what has not processed it yet passes over it',
    options: [['--reason <text>', 'why; shown to everybody who reads the event']],
    run: quarantine,
  },
  { usage: 'release <event>', does: 'release an event from quarantine', run: release },
];

async function list(shell: Shell, _: readonly string[], options: Given): Promise<void> {
  const most = Number(options['limit'] ?? 50);
  if (!Number.isInteger(most) || most < 1) throw new UsageError('--limit must be a whole number from 1.');
  const query = queryOf(options, [...FILTERS, 'from', 'to']).toString();
  const found: Event[] = [];
  for await (const page of pages<Event>(shell, query === '' ? PATH : `${PATH}?${query}`)) {
    found.push(...page);
    if (found.length >= most) break;
  }
  const events = found.slice(0, most);
  if (shell.json) return shell.print(stringifyJson(events, 2));
  if (shell.quiet) return events.forEach(({ id }) => shell.print(id));
  if (events.length === 0) return shell.note('No events were found.');
  shell.table(
    ['RECEIVED', 'TYPE', 'SOURCE', 'SUBJECT', 'ID'],
    events.map(({ metadata, type, source, subject, id }) => [
      metadata.receivedAt,
      type,
      source,
      subject,
      id + quarantineNote(metadata.quarantine),
    ]),
  );
}

/** Rules, workflows and webhooks pass over the event: whoever reads its line must know. */
const quarantineNote = (mark: unknown): string => (mark === undefined ? '' : '  (in quarantine)');

/** What is not text of the table is text of the query. */
function queryOf(options: Given, names: readonly string[]): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of names) {
    const value = options[name];
    if (typeof value === 'string') query.set(name, value);
  }
  return query;
}

async function view(shell: Shell, [id]: readonly string[]): Promise<void> {
  const event = await shell.call<Event>('GET', pathOf(id!));
  shell.print(shell.quiet ? event.type : stringifyJson(event, 2));
}

async function create(shell: Shell, [file]: readonly (string | undefined)[], options: Given): Promise<void> {
  const { type, data, source, subject } = options;
  if ((file === undefined) === (type === undefined))
    throw new UsageError('Name a file with an event, or give --type and --data.');
  const given =
    file === undefined ? { type, data: data === undefined ? {} : jsonOr(String(data)) } : await shell.read(file);
  const body = {
    ...(given as object),
    ...(source !== undefined && { source }),
    ...(subject !== undefined && { subject }),
  };
  const answer = await shell.call<{ readonly id: string }>('POST', PATH, body);
  if (shell.json) shell.print(stringifyJson(answer, 2));
  else
    shell.print(
      shell.quiet ? answer.id : `${answer.id} is published. What followed: millrace event trace ${answer.id}`,
    );
}

async function quarantine(shell: Shell, [id]: readonly string[], { reason }: Given): Promise<void> {
  if (reason === undefined) throw new UsageError('Say why: --reason TEXT.');
  const answer = await shell.call<object>('POST', `${pathOf(id!)}/quarantine`, { reason });
  if (shell.json) shell.print(stringifyJson(answer, 2));
  else shell.print(shell.quiet ? id! : `${id} is in quarantine. To release it: millrace event release ${id}`);
}

async function release(shell: Shell, [id]: readonly string[]): Promise<void> {
  await shell.call('DELETE', `${pathOf(id!)}/quarantine`);
  if (!shell.json) shell.print(shell.quiet ? id! : `${id} is released.`);
}

/** Follows the log from its end, or after a position. What is recorded while the connection is cut is not missed. */
async function tail(shell: Shell, _: readonly string[], options: Given): Promise<number> {
  const pathAfter = (after: string | undefined): string => {
    const query = queryOf({ ...options, ...(after !== undefined && { after }) }, [...FILTERS, 'after']).toString();
    return query === '' ? `${PATH}/stream` : `${PATH}/stream?${query}`;
  };
  await followEvents(shell, pathAfter, (message) => {
    const note = noteOf(message);
    if (note === undefined) shell.print(lineOf(shell, parseAsWritten(message.data) as Event));
    else shell.note(note);
  });
  return EXIT.interrupted;
}

function lineOf({ json, quiet }: Shell, event: Event): string {
  if (json) return stringifyJson(event);
  const { id, type, subject, source, metadata } = event;
  const line = `${metadata.receivedAt}  ${type}  ${subject}  ${source}  ${id}`;
  return quiet ? id : line + quarantineNote(metadata.quarantine);
}

async function trace(shell: Shell, [id]: readonly string[]): Promise<void> {
  const answer = await shell.call<{ readonly root: TraceNode; readonly truncated: boolean }>(
    'GET',
    `${pathOf(id!)}/trace`,
  );
  if (shell.json) return shell.print(stringifyJson(answer, 2));
  const lines = [...branchesOf(answer.root, id!, shell.quiet)];
  lines.forEach((line) => shell.print(line));
  if (answer.truncated) shell.note(`Only the first ${lines.length} events of this story are shown.`);
}

const UNITS: readonly (readonly [size: number, name: string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
];

/** How long after its cause: `+120 ms`, `+2.5 s`, `+26 h`. */
function gapText(gapMs: number): string {
  const [size, name] = UNITS.find(([least]) => gapMs >= least) ?? [1, 'ms'];
  return `+${Number((gapMs / size).toFixed(1))} ${name}`;
}

/** One line for each event, deeper ones further to the right. */
function* branchesOf(root: TraceNode, asked: string, quiet: boolean): Generator<string> {
  const left: (readonly [TraceNode, string, string])[] = [[root, '', '']];
  for (let next = left.pop(); next; next = left.pop()) {
    const [{ id, type, subject, timestamp, quarantined, gapMs, children }, before, below] = next;
    yield quiet
      ? id
      : `${before}${type}  ${subject}  ${timestamp}  ${id}${gapMs === undefined ? '' : `  ${gapText(gapMs)}`}${quarantineNote(quarantined)}${id === asked ? '  ←' : ''}`;
    children
      .map((child, index): readonly [TraceNode, string, string] =>
        index === children.length - 1 ? [child, `${below}└─ `, `${below}   `] : [child, `${below}├─ `, `${below}│  `],
      )
      .reverse()
      .forEach((one) => left.push(one));
  }
}
