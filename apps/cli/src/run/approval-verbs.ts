import type { ApprovalAnswer, RecordedDecision } from '#libs/events/src/shapes/run-shape.js';
import { isObject } from '#libs/kernel/src/json.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { UsageError } from '../failures.js';
import type { Given, Verb } from '../nouns/verb-table.js';
import { pairsOf } from '../options.js';
import { all } from '../pages.js';
import type { Shell } from '../shell.js';
import { pathOf } from './follow-run.js';

/** The verbs of `millrace run` that are about approvals. */
export const approvalVerbs: readonly Verb[] = [
  {
    usage: 'approvals',
    does: 'list what waits for an approval, newest first',
    options: [
      ['--status <status>', 'waiting (default), approved, rejected or over'],
      ['--run <run>', 'of this run'],
      ['--workflow <name>', 'of runs of this workflow'],
    ],
    run: list,
  },
  {
    usage: 'approve <run> <step>',
    does: 'approve what a step waits for',
    options: [
      ['--comment <text>', 'why'],
      ['--form <key=value>...', 'a value of its form, which may be JSON, or @file: a YAML or JSON file with values'],
    ],
    run: async (shell, args, given) => decide(shell, args, 'approve', given, await formOf(shell, given['form'])),
  },
  {
    usage: 'reject <run> <step>',
    does: 'reject what a step waits for',
    options: [['--comment <text>', 'why']],
    run: (shell, args, given) => decide(shell, args, 'reject', given),
  },
];

async function list(shell: Shell, _: readonly string[], { status, run, workflow }: Given): Promise<void> {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries({ status, runId: run, workflow }))
    if (typeof value === 'string') query.set(key, value);
  const found = await all<ApprovalAnswer>(shell, `/api/v1/approvals${query.size === 0 ? '' : `?${query.toString()}`}`);
  if (shell.json) return shell.print(stringifyJson(found, 2));
  if (shell.quiet) return found.forEach(({ runId, path }) => shell.print(`${runId} ${path}`));
  if (found.length === 0) return shell.note('There are no such approvals.');
  shell.table(
    ['RUN', 'STEP', 'WORKFLOW', 'STATUS', 'FOR', 'UNTIL', 'TITLE'],
    found.map(({ runId, path, workflow: of, status: state, approvers, until = '–', title }) => [
      runId,
      path,
      of,
      state,
      approvers.join(', '),
      until,
      title,
    ]),
  );
}

/** Later values replace earlier ones. */
async function formOf(shell: Shell, given: Given[string]): Promise<Record<string, unknown> | undefined> {
  if (given === undefined) return undefined;
  const form: Record<string, unknown> = {};
  for (const one of given as readonly string[]) {
    if (!one.startsWith('@')) {
      Object.assign(form, pairsOf('--form', [one]));
      continue;
    }
    const values = await shell.read(one.slice(1));
    if (!isObject(values)) throw new UsageError(`${one.slice(1)} must be an object: the values of the form by name.`);
    Object.assign(form, values);
  }
  return form;
}

async function decide(
  shell: Shell,
  [id, step]: readonly string[],
  decision: 'approve' | 'reject',
  { comment }: Given,
  form?: Record<string, unknown>,
): Promise<void> {
  const path = `${pathOf(id!)}/approvals/${encodeURIComponent(step!)}`;
  const body = { decision, ...(comment !== undefined && { comment }), ...(form && { form }) };
  const answer = await shell.call<RecordedDecision>('POST', path, body);
  if (shell.json) return shell.print(stringifyJson(answer, 2));
  if (shell.quiet) return shell.print(id!);
  const others = answer.status === 'waiting' ? ' Others have to decide too.' : '';
  shell.print(`${step} of ${id} is ${decision === 'approve' ? 'approved' : 'rejected'}.${others}`);
}
