import { readFile } from 'node:fs/promises';

import type { ReplayAnswer, ReplayResultAnswer } from '#libs/events/src/shapes/audit/replay-shape.js';
import { parseAsWritten, parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { EXIT, ServerSaidNo, UsageError } from '../failures.js';
import { linesIn } from '../nouns/lines.js';
import type { Given, Verb } from '../nouns/verb-table.js';
import { pages } from '../pages.js';
import type { Shell } from '../shell.js';

const PATH = '/api/v1/replays';
const NDJSON = 'application/x-ndjson';
const pathOf = (id: string | undefined): string => `${PATH}/${encodeURIComponent(id ?? '')}`;

/** The verbs of `millrace replay`. */
export const replayVerbs: readonly Verb[] = [
  {
    usage: 'create',
    does: 'replay a part of the log on the server',
    options: [
      ['--from <when>', 'a time or a position, inclusive; default: the beginning of the log'],
      ['--to <when>', 'a time, exclusive, or a position, inclusive; default: now'],
      ['--by <time>', 'times are compared with receivedAt (default) or timestamp'],
      ['--type <types>', 'a type, a glob such as pr.*, or several with commas'],
      ['--source <source>', 'a source or a glob'],
      ['--subject <subject>', 'a subject or a glob'],
      ['--correlation <event>', 'events of one story, by the id of its first event'],
      ['--filter <expression>', "JMESPath over the event: data.branch == 'main'"],
      ['--what-if', 'compare what rules and workflows decide today with what they decided; nothing is done'],
      ['--rerun', 'chosen rules and workflows act again on the events; needs --confirm and the role admin'],
      ['--confirm <n>', 'with --rerun: the number of events; without it the answer names it'],
      ['--rate <n>', 'with --rerun: events a second; default: 10'],
      ['--as-of <when>', 'with --what-if: rules and workflows as they were then'],
      ['--rule <rule>...', 'this rule alone: an id, or with --what-if a file with a draft'],
      ['--workflow <workflow>...', 'this workflow alone: a name, or with --what-if a file with a draft'],
      ['--speed <factor>', 'keep the gaps between events: 1 is real time, 60 plays an hour in a minute'],
      ['--watch', 'follow it to its end'],
    ],
    run: create,
  },
  { usage: 'ls', does: 'list replays, newest first', run: list },
  { usage: 'view <replay>', does: 'show a replay, and how far it is', run: view },
  { usage: 'watch <replay>', does: 'follow a replay to its end', run: (shell, [id]) => watch(shell, id!) },
  { usage: 'cancel <replay>', does: 'stop a replay; its results so far stay', run: cancel },
  {
    usage: 'results <replay>',
    does: 'show what a replay found; with --json one result a line',
    options: [
      ['--follow', 'go on until the replay has ended'],
      ['--differs', 'of --what-if: events with a difference alone'],
    ],
    run: results,
  },
];

async function create(shell: Shell, _: readonly string[], given: Given): Promise<number> {
  const { from, to, by, type, source, subject, correlation, filter: expression, speed } = given;
  const types = typeof type === 'string' ? type.split(',').map((one) => one.trim()) : undefined;
  const filter = present({ type: types, source, subject, correlation, expression });
  const body = {
    mode: given['rerun'] ? 'rerun' : given['whatIf'] ? 'what_if' : 'inspect',
    ...present({ rate: wholeNumber('--rate', given['rate']), confirm: wholeNumber('--confirm', given['confirm']) }),
    ...(await worldOf(shell, given)),
    ...present({ from, to, by, speed: speed === undefined ? undefined : factor(speed) }),
    ...(Object.keys(filter).length > 0 && { filter }),
  };
  const replay = await shell.call<ReplayAnswer>('POST', PATH, body);
  if (given['watch']) return watch(shell, replay.id);
  if (shell.json) shell.print(stringifyJson(replay, 2));
  else
    shell.print(
      shell.quiet ? replay.id : `${replay.id} is ${replay.status}. Follow it: millrace replay watch ${replay.id}`,
    );
  return 0;
}

/** A file is a draft: of a rule that has an `id`, in its place. */
async function worldOf(shell: Shell, given: Given): Promise<object> {
  const several = (value: Given[string]): readonly string[] | undefined => value as readonly string[] | undefined;
  const rules = several(given['rule'])?.map(async (name) => {
    if (name.startsWith('rul_')) return { ruleId: name };
    const { id: ruleId, ...draft } = (await shell.read(name)) as { readonly id?: string };
    return { ...(ruleId !== undefined && { ruleId }), draft };
  });
  const workflows = several(given['workflow'])?.map(async (name) =>
    /\.ya?ml$/.test(name) ? { source: await textOf(name) } : { workflow: name },
  );
  const world = present({
    at: given['asOf'],
    rules: rules && (await Promise.all(rules)),
    workflows: workflows && (await Promise.all(workflows)),
  });
  return Object.keys(world).length > 0 ? { with: world } : {};
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}.`);
  }
}

const present = (given: Readonly<Record<string, unknown>>): object =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));

function wholeNumber(flag: string, given: unknown): number | undefined {
  const number = given === undefined ? undefined : Number(given);
  if (number !== undefined && !Number.isInteger(number))
    throw new UsageError(`${flag} must be a whole number, not "${String(given)}".`);
  return number;
}

function factor(given: unknown): number {
  const speed = Number(given);
  if (!(speed > 0)) throw new UsageError(`--speed must be a number above 0, not "${String(given)}".`);
  return speed;
}

async function list(shell: Shell): Promise<void> {
  const all: ReplayAnswer[] = [];
  for await (const page of pages<ReplayAnswer>(shell, PATH)) all.push(...page);
  if (shell.json) return shell.print(stringifyJson(all, 2));
  if (shell.quiet) return all.forEach(({ id }) => shell.print(id));
  if (all.length === 0) return shell.note('There are no replays.');
  shell.table(
    ['REQUESTED', 'MODE', 'STATUS', 'DONE', 'RESULTS', 'ID'],
    all.map(({ requestedAt, mode, status, percent, results, id }) => [
      requestedAt,
      mode,
      status,
      `${percent} %`,
      String(results),
      id,
    ]),
  );
}

async function view(shell: Shell, [id]: readonly string[]): Promise<void> {
  const replay = await shell.call<ReplayAnswer>('GET', pathOf(id));
  shell.print(shell.quiet ? replay.status : stringifyJson(replay, 2));
}

async function cancel(shell: Shell, [id]: readonly string[]): Promise<void> {
  show(shell, await shell.call<ReplayAnswer>('POST', `${pathOf(id)}/cancel`));
}

async function watch(shell: Shell, id: string): Promise<number> {
  let ended: ReplayAnswer | undefined;
  for await (const text of linesIn(await shell.download(`${pathOf(id)}/progress`, NDJSON))) {
    if (text === '') continue;
    const { progress, result } = parseJson(text) as { progress?: ReplayAnswer; result?: ReplayAnswer };
    if (progress) shell.bar(`${progress.percent} % · ${progress.looked} events · ${progress.results} results`);
    ended = result ?? ended;
  }
  shell.bar(undefined);
  if (!ended)
    throw new ServerSaidNo(503, 'replay.cut_off', `The connection was closed. ${id} goes on; watch it again.`);
  show(shell, ended);
  return ended.status === 'finished' ? 0 : EXIT.no;
}

function show(shell: Shell, replay: ReplayAnswer): void {
  const { id, mode, status, looked, selected, results, differences, error } = replay;
  if (shell.json) return shell.print(stringifyJson(replay, 2));
  if (shell.quiet) return shell.print(status);
  const why = error ? ` ${error.detail} (${error.code})` : '';
  const found = mode === 'what_if' ? `${results} results, ${differences} with a difference` : `${results} results`;
  shell.print(`${id} is ${status}: ${looked} events read, ${selected} selected, ${found}.${why}`);
}

async function results(shell: Shell, [id]: readonly string[], given: Given): Promise<void> {
  const query = ['follow', 'differs'].filter((name) => given[name]).map((name) => `${name}=true`);
  const path = `${pathOf(id)}/results${query.length > 0 ? `?${query.join('&')}` : ''}`;
  for await (const text of linesIn(await shell.download(path, NDJSON))) {
    if (text === '') continue;
    if (shell.json) shell.print(text);
    else for (const line of linesOf(parseAsWritten(text) as ReplayResultAnswer, shell.quiet)) shell.print(line);
  }
}

interface ShownEvent {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly subject: string;
  readonly metadata: { readonly receivedAt: string };
}

/** The event, and below it what was decided and what followed, or how decisions differ. */
function linesOf(result: ReplayResultAnswer, quiet: boolean): readonly string[] {
  const { position, event, decisions = [], effects, now = [], differences = [], rerun } = result;
  if (!event) return quiet ? [] : [`position ${position}  removed by retention`];
  const { id, type, source, subject, metadata } = event as ShownEvent;
  if (quiet) return [id];
  return [
    `${metadata.receivedAt}  ${type}  ${source}  ${subject}  ${id}`,
    ...decisions.map((decision) =>
      decision.kind === 'rule'
        ? `  rule ${decision.ruleName} (${decision.ruleId}): ${decision.outcome}`
        : `  workflow ${decision.workflow} (${decision.workflowId}): ${decision.outcome}`,
    ),
    ...now.map(({ kind, name, by, outcome, requests }) =>
      [`  ${kind} ${name} (${by}): ${outcome}`, ...requests.map((request) => request.refused ?? request.type)].join(
        ', ',
      ),
    ),
    ...(rerun ? [`  acted on again: ${rerun.id}`] : []),
    ...differences.flatMap(({ name, by, difference, inputs = [] }) => [
      `  ! ${name} (${by}): ${difference}`,
      ...inputs.map((input) => `      ${input.pointer}: ${stringifyJson(input.then)} → ${stringifyJson(input.now)}`),
    ]),
    ...(effects?.events ?? []).map((effect) => `  ${effect.receivedAt}  ${effect.type}  ${effect.subject}`),
  ];
}
