import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { FileProblem } from './apply-files.js';
import type { Applied, Outcomes } from './apply-outcome.js';
import { EXIT } from '../failures.js';
import type { Warning } from '../rule/rule-answers.js';
import { warningLines } from '../rule/rule-text.js';
import type { Shell } from '../shell.js';

const CHANGES = ['created', 'updated', 'unchanged', 'failed', 'skipped'] as const;
const BAR = 24;

/** Shows how far it is; call what it gives for each document that is done. */
export function progressOf(shell: Shell, total: number, doing: string): () => void {
  let done = 0;
  return () => {
    const full = Math.round((++done / total) * BAR);
    shell.bar(`[${'='.repeat(full)}${' '.repeat(BAR - full)}] ${done} of ${total} ${doing}`);
  };
}

/** Shows what became of the documents, and how many are what; the exit code: 1 if one failed. */
export function report(shell: Shell, { applied }: Outcomes, isDry: boolean): number {
  for (const one of applied) for (const warning of one.warnings ?? []) shell.note(warningLine(one, warning));
  const failed = applied.filter(({ change }) => change === 'failed');
  for (const one of failed) for (const problem of one.problems ?? []) shell.note(problemLine(one, problem));
  if (shell.json) shell.print(stringifyJson(applied, 2));
  else if (shell.quiet) applied.filter(isDone).forEach(({ file }) => shell.print(file));
  else {
    shell.table(
      ['FILE', 'KIND', 'NAME', 'CHANGE'],
      applied.map(({ file, kind, name, change }) => [file, kind, name, word(change, isDry)]),
    );
    shell.note(summary(applied, isDry));
  }
  return failed.length > 0 ? EXIT.no : 0;
}

const isDone = ({ change }: Applied): boolean => change !== 'unchanged' && change !== 'skipped';

function warningLine({ file, path }: Applied, warning: Warning): string {
  const { line, column = 1, pointer, message } = warning;
  if (line === undefined) return `${file}: ${warningLines([warning]).join()}`;
  return `${path}:${line}:${column}: warning: ${pointer} ${message}`;
}

/** `rules/a.yaml:3:5: /conditions/field …`, as compilers and editors have it. */
function problemLine({ file, path }: Applied, { line, column, pointer, detail, code }: FileProblem): string {
  const place = line === undefined ? file : `${path}:${line}:${column ?? 1}`;
  const what = pointer === undefined || pointer === '' ? '' : `${pointer} `;
  return `${place}: ${what}${detail}${code === undefined ? '' : ` (${code})`}`;
}

const word = (change: Applied['change'], isDry: boolean): string =>
  isDry && (change === 'created' || change === 'updated') ? `to be ${change}` : change;

function summary(applied: readonly Applied[], isDry: boolean): string {
  if (applied.every(({ change }) => change === 'unchanged')) return 'Nothing changed: everything matches the files.';
  const counts = CHANGES.map((change) => ({ change, count: applied.filter((one) => one.change === change).length }));
  const parts = counts.filter(({ count }) => count > 0).map(({ change, count }) => `${count} ${word(change, isDry)}`);
  return `${parts.join(', ')}.`;
}
