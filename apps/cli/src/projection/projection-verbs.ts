import type { RebuildAnswer } from '#libs/events/src/shapes/audit/projection-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { EXIT } from '../failures.js';
import type { Given, Verb } from '../nouns/verb-table.js';
import { all } from '../pages.js';
import { nextLook } from '../run/next-look.js';
import type { Shell } from '../shell.js';

const DETACH = ['--detach', 'do not wait for the end'] as const;

/** What `millrace projection` does beside `ls` and `view`. */
export const projectionVerbs: readonly Verb[] = [
  {
    usage: 'rebuild <projection>',
    does: 'make its rows from the log again, beside the live ones, and use them; Ctrl-C stops waiting, not the rebuild',
    options: [DETACH],
    run: (shell, [name], given) => begin(shell, name!, 'rebuild', given),
  },
  {
    usage: 'verify <projection>',
    does: 'make its rows from the log again and name those that differ; changes nothing; exits with 1 if any does',
    options: [DETACH],
    run: (shell, [name], given) => begin(shell, name!, 'verify', given),
  },
  { usage: 'rebuilds <projection>', does: 'list its rebuilds and verifications, newest first', run: list },
  {
    usage: 'cancel <projection> <rebuild>',
    does: 'cancel a rebuild or verification; the live rows stay as they are',
    run: async (shell, [name, id]) =>
      show(
        shell,
        await shell.call<RebuildAnswer>('POST', `${pathOf(name!)}/rebuilds/${encodeURIComponent(id!)}/cancel`),
      ),
  },
];

const pathOf = (name: string): string => `/api/v1/projections/${encodeURIComponent(name)}`;

async function begin(shell: Shell, name: string, mode: string, { detach }: Given): Promise<number> {
  let job = await shell.call<RebuildAnswer>('POST', `${pathOf(name)}/${mode}`);
  const path = `${pathOf(name)}/rebuilds/${job.id}`;
  while (detach !== true && job.status === 'running' && !shell.signal.aborted) {
    shell.bar(progressOf(job));
    await nextLook(shell.signal);
    if (!shell.signal.aborted) job = await shell.call<RebuildAnswer>('GET', path);
  }
  shell.bar(undefined);
  show(shell, job);
  if (job.status === 'running') return detach === true ? 0 : EXIT.interrupted;
  return job.status === 'rebuilt' || job.status === 'same' ? 0 : EXIT.no;
}

/** Positions are compared, never counted: of the log only the part is shown. */
function progressOf({ events, position, target }: RebuildAnswer): string {
  const part =
    position === null || target === null || target === '0' ? 0 : Number((BigInt(position) * 100n) / BigInt(target));
  return `${events} events, ${Math.min(part, 100)} %`;
}

async function list(shell: Shell, [name]: readonly string[]): Promise<void> {
  const jobs = await all<RebuildAnswer>(shell, `${pathOf(name!)}/rebuilds`);
  if (shell.json) shell.print(stringifyJson(jobs, 2));
  else if (shell.quiet) for (const { id } of jobs) shell.print(id);
  else if (jobs.length === 0) shell.note('It has not been rebuilt or verified.');
  else
    shell.table(
      ['ID', 'MODE', 'STATUS', 'EVENTS', 'REQUESTED', 'ENDED'],
      jobs.map(({ id, mode, status, events, requestedAt, endedAt }) => [
        ...[id, mode, status, String(events), requestedAt, endedAt ?? '-'],
      ]),
    );
}

const ENDS: Readonly<Record<RebuildAnswer['status'], string>> = {
  running: 'is under way',
  rebuilt: 'is done; the new rows are in use',
  same: 'found no difference',
  different: 'found rows that differ',
  cancelled: 'was cancelled',
  failed: 'failed; the live rows stay as they were',
};

function show(shell: Shell, job: RebuildAnswer): void {
  const { id, projection, mode, status, events, differing = 0, rows = [], error } = job;
  if (shell.json) return shell.print(stringifyJson(job, 2));
  if (shell.quiet) return shell.print(status === 'running' ? id : status);
  const what = mode === 'rebuild' ? 'Rebuild' : 'Verification';
  shell.print(`${what} ${id} of ${projection} ${ENDS[status]}: ${events} events.`);
  if (error !== undefined) shell.print(error);
  for (const { table, key, kind, columns } of rows)
    shell.print(`${kind}: ${table} ${key}${columns.length === 0 ? '' : ` (${columns.join(', ')})`}`);
  if (differing > rows.length) shell.print(`… and ${differing - rows.length} more.`);
}
