import { readFile } from 'node:fs/promises';

import type { WorkflowDecisionAnswer } from '#libs/events/src/shapes/decision-shape.js';
import type { RunDetails } from '#libs/events/src/shapes/run-shape.js';
import type {
  SavedWorkflow,
  WorkflowAnswer,
  WorkflowCheck,
  WorkflowPause,
  WorkflowSchedule,
} from '#libs/events/src/shapes/workflow-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { AS_OF, nowOrThen } from '../nouns/as-of.js';
import type { Given, Verb } from '../nouns/verb-table.js';
import { pairsOf, textsOf } from '../options.js';
import { all } from '../pages.js';
import { parseDocument, UnreadableFile } from '../rule/rule-file.js';
import { workflowReason } from '../rule/rule-text.js';
import { follow } from '../run/follow-run.js';
import { schemaVerb } from '../nouns/schema-verb.js';
import type { Shell } from '../shell.js';
import { backfillVerb } from './backfill.js';

const PATH = '/api/v1/workflows';
const pathOf = (name: string): string => `${PATH}/${encodeURIComponent(name)}`;

/** The verbs of `millrace workflow` that ask a server. */
export const workflowVerbs: readonly Verb[] = [
  {
    usage: 'ls',
    does: 'list workflows',
    options: [
      ['--archived', 'those that are archived'],
      ['--paused', 'those that are paused'],
      ['--disabled', 'those whose text says disabled: true'],
      ['--label <name=value>...', 'with this label'],
      AS_OF,
    ],
    run: nowOrThen('workflows', list),
  },
  {
    usage: 'view <workflow>',
    does: 'print the active text of a workflow',
    options: [AS_OF],
    run: nowOrThen('workflows', view),
  },
  { usage: 'create <file>', does: 'save a new workflow from a YAML file', run: (shell, [file]) => save(shell, file!) },
  {
    usage: 'update <file>',
    does: 'save a workflow again; a new version, unless nothing changed',
    run: (shell, [file]) => save(shell, file!),
  },
  { usage: 'rm <workflow>', does: 'archive a workflow; runs under way go on', run: remove },
  {
    usage: 'validate <files...>',
    does: 'check workflows without saving them',
    run: (shell, args) => validate(shell, args, false),
  },
  {
    usage: 'lint <files...>',
    does: 'the same, and fail on warnings',
    run: (shell, args) => validate(shell, args, true),
  },
  schemaVerb('workflow.json', 'workflows'),
  {
    usage: 'run <workflow>',
    does: 'start a run',
    options: [
      ['--input <key=value>...', 'an input; the value may be JSON'],
      ['--watch', 'follow the run to its end; the exit code is 1 if it fails'],
    ],
    run: start,
  },
  {
    usage: 'pause <workflow>',
    does: 'let its triggers start no runs',
    run: (shell, [name]) => pause(shell, name!, 'pause'),
  },
  {
    usage: 'resume <workflow>',
    does: 'let its triggers start runs again',
    run: (shell, [name]) => pause(shell, name!, 'resume'),
  },
  { usage: 'schedule <workflow>', does: 'show when it starts next', run: schedule },
  backfillVerb,
  {
    usage: 'why <workflow>',
    does: 'show the newest events that its triggers looked at, and why it started or did not',
    options: [
      ['--outcome <outcome>', 'started, not_matched, skipped or errored'],
      ['--limit <number>', 'at most 200; default 20'],
    ],
    run: why,
  },
];

/** What keeps a workflow from starting runs: the first that does. */
const stateOf = ({ status, paused, disabled }: WorkflowAnswer): string => {
  if (status === 'archived') return status;
  if (disabled) return 'disabled';
  return paused ? 'paused' : status;
};

async function list(shell: Shell, _: readonly string[], { archived, paused, disabled, label }: Given): Promise<void> {
  const query = new URLSearchParams({
    ...(archived && { status: 'archived' }),
    ...(paused && { paused: 'true' }),
    ...(disabled && { disabled: 'true' }),
  });
  for (const [name, value] of Object.entries(textsOf('--label', label))) query.append('label', `${name}:${value}`);
  const found = await all<WorkflowAnswer>(shell, `${PATH}${query.size === 0 ? '' : `?${query.toString()}`}`);
  if (shell.json) return shell.print(stringifyJson(found, 2));
  if (shell.quiet) return found.forEach(({ name }) => shell.print(name));
  if (found.length === 0)
    return shell.note(
      query.size === 0
        ? 'There are no workflows. Save one: millrace workflow create my-workflow.yaml'
        : 'There are no such workflows.',
    );
  shell.table(
    ['NAME', 'STATUS', 'VERSION', 'FROM', 'CHANGED'],
    found.map((one) => [one.name, stateOf(one), one.version, one.origin, one.updatedAt]),
  );
}

async function view(shell: Shell, [name]: readonly string[]): Promise<void> {
  const found = await shell.call<WorkflowAnswer & { readonly source: string }>('GET', pathOf(name!));
  if (shell.json) shell.print(stringifyJson(found, 2));
  else {
    shell.print(shell.quiet ? found.name : found.source.replace(/\n$/, ''));
    const state = stateOf(found);
    if (state !== 'active') shell.note(`"${found.name}" is ${state}.`);
  }
}

async function save(shell: Shell, file: string): Promise<void> {
  const source = await sourceAt(file);
  const { name } = (parseDocument(source, file).value ?? {}) as { readonly name?: unknown };
  if (typeof name !== 'string') throw new UnreadableFile(`${file}:1:1: "name" is required.`);
  const saved = await shell.call<SavedWorkflow>('PUT', pathOf(name), { source });
  for (const { line, column, message } of saved.warnings) shell.note(`${file}:${line}:${column}: warning: ${message}`);
  if (shell.json) shell.print(stringifyJson(saved, 2));
  else {
    shell.print(shell.quiet ? saved.name : `"${saved.name}" is active, version ${saved.version}.`);
    noteWebhook(shell, saved);
  }
}

/** The address of a webhook trigger, and its secret: nobody is shown that again. */
export function noteWebhook(shell: Shell, { name, webhook }: SavedWorkflow): void {
  if (webhook === undefined || (shell.quiet && webhook.secret === undefined)) return;
  shell.note(`Requests to ${webhook.url} start "${name}".`);
  if (webhook.secret !== undefined)
    shell.note(
      `Secret: ${webhook.secret}. It is not shown again: millrace integration rotate ${webhook.integrationId} sets another.`,
    );
}

async function remove(shell: Shell, [name]: readonly string[]): Promise<void> {
  await shell.call('DELETE', pathOf(name!));
  if (shell.json) return shell.print(stringifyJson({ name, status: 'archived' }, 2));
  shell.print(shell.quiet ? name! : `"${name}" is archived. Its runs and versions stay.`);
}

async function validate(shell: Shell, files: readonly string[], isStrict: boolean): Promise<number> {
  let isWrong = false;
  const checks: object[] = [];
  for (const file of files) {
    const check = await shell.call<WorkflowCheck>('POST', `${PATH}/validate`, { source: await sourceAt(file) });
    isWrong ||= !check.valid || (isStrict && check.warnings.length > 0);
    checks.push({ file, ...check });
    for (const { line = 1, column = 1, detail } of check.errors) shell.note(`${file}:${line}:${column}: ${detail}`);
    for (const { line, column, message } of check.warnings)
      shell.note(`${file}:${line}:${column}: warning: ${message}`);
    if (!shell.json && !shell.quiet && check.valid) shell.print(`${file} is valid.`);
  }
  if (shell.json) shell.print(stringifyJson(checks, 2));
  return isWrong ? 1 : 0;
}

async function start(shell: Shell, [name]: readonly string[], { input, watch }: Given): Promise<number> {
  const inputs = pairsOf('--input', input);
  const run = await shell.call<RunDetails>('POST', `${pathOf(name!)}/runs`, { inputs });
  if (watch) return follow(shell, run.id);
  if (shell.json) shell.print(stringifyJson(run, 2));
  else
    shell.print(shell.quiet ? run.id : `${run.id} is ${run.status}. millrace run view ${run.id} --watch follows it.`);
  return 0;
}

async function pause(shell: Shell, name: string, verb: 'pause' | 'resume'): Promise<void> {
  const answer = await shell.call<WorkflowPause>('POST', `${pathOf(name)}/${verb}`);
  if (shell.json) shell.print(stringifyJson(answer, 2));
  else
    shell.print(
      shell.quiet ? name : `"${name}" is ${answer.paused ? 'paused: its triggers start no runs' : 'resumed'}.`,
    );
}

async function schedule(shell: Shell, [name]: readonly string[]): Promise<void> {
  const answer = await shell.call<WorkflowSchedule>('GET', `${pathOf(name!)}/schedule`);
  if (shell.json) return shell.print(stringifyJson(answer, 2));
  const rows = answer.schedules.flatMap(({ trigger, next }) => next.map((at) => [at, trigger]));
  if (shell.quiet) return rows.forEach(([at]) => shell.print(at!));
  const { paused, disabled, archived } = answer;
  const state = archived ? 'archived' : disabled ? 'disabled' : paused ? 'paused' : undefined;
  if (state !== undefined) return shell.note(`"${name}" is ${state}: its schedules start no runs.`);
  if (rows.length === 0) return shell.note(`"${name}" has no schedule.`);
  shell.table(['AT', 'SCHEDULE'], rows);
}

async function why(shell: Shell, [name]: readonly string[], { outcome, limit = '20' }: Given): Promise<void> {
  const filter = typeof outcome === 'string' ? `&outcome=${encodeURIComponent(outcome)}` : '';
  const path = `${pathOf(name!)}/decisions?limit=${encodeURIComponent(String(limit))}${filter}`;
  const { data } = await shell.call<{ readonly data: readonly WorkflowDecisionAnswer[] }>('GET', path);
  if (shell.json) return shell.print(stringifyJson(data, 2));
  if (shell.quiet) return data.forEach((decision) => shell.print(`${decision.eventId} ${decision.outcome}`));
  if (data.length === 0) return shell.note('Its triggers have not looked at such an event.');
  shell.table(
    ['AT', 'EVENT', 'TYPE', 'OUTCOME', 'WHY'],
    data.map((decision) => [
      decision.at,
      decision.eventId,
      decision.eventType,
      decision.outcome,
      workflowReason(decision) ?? '–',
    ]),
  );
}

const sourceAt = (file: string): Promise<string> =>
  readFile(file, 'utf8').catch(() => {
    throw new UnreadableFile(`There is no file ${file}.`);
  });
