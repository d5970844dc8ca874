import type { RunDetails, ShownStep } from '#libs/events/src/shapes/run-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { Shell } from '../shell.js';
import { nextLook } from './next-look.js';

const ENDS = ['completed', 'failed', 'cancelled', 'skipped'];

export const pathOf = (id: string): string => `/api/v1/runs/${encodeURIComponent(id)}`;

/** Shows a run once it has ended. @returns the exit code. */
export async function follow(shell: Shell, id: string): Promise<number> {
  let run = await shell.call<RunDetails>('GET', pathOf(id));
  while (!ENDS.includes(run.status) && !shell.signal.aborted) {
    shell.bar(
      `${run.status}${run.until === undefined ? '' : ` until ${run.until}`}: ${run.timeline.at(-1)?.path ?? ''}`,
    );
    await nextLook(shell.signal);
    run = await shell.call<RunDetails>('GET', pathOf(id));
  }
  shell.bar(undefined);
  show(shell, run);
  return run.status === 'completed' ? 0 : 1;
}

/** A run with its steps, and what it waits for. */
export function show(shell: Shell, run: RunDetails): void {
  if (shell.json) return shell.print(stringifyJson(run, 2));
  if (shell.quiet) return shell.print(run.status);
  const { id, workflow, status, until, error, outputs, skipped: passedOver, restartOf, children = [], timeline } = run;
  shell.print(`${id} of "${workflow}" is ${status}${until === undefined ? '' : ` until ${until}`}.`);
  if (error) shell.print(`${error.code}${error.path === undefined ? '' : ` in ${error.path}`}: ${error.message}`);
  if (restartOf !== undefined) shell.print(`It repeats ${restartOf}.`);
  if (passedOver) shell.print(`No place for it: ${passedOver.detail}`);
  if (outputs !== undefined) shell.print(`Outputs: ${stringifyJson(outputs)}`);
  if (timeline.length === 0) return;
  shell.table(
    ['STEP', 'STATUS', 'STARTED', 'ENDED', 'WHY'],
    timeline.map((step) => [step.path, step.status, step.startedAt, step.endedAt ?? '–', whyOf(step)]),
  );
  for (const { id: child, workflow: name, path, status: state } of children)
    shell.print(`${path} started ${child} of "${name}"${state === undefined ? '' : `, which is ${state}`}.`);
}

/** Why a step is as it is, in a line: what failed or is waited for, what took its place, and how often it was tried. */
function whyOf({ error, waiting, skipped, reusedFrom, attempts }: ShownStep): string {
  const why = [
    error && `${error.code}: ${error.message}`,
    waiting,
    skipped,
    reusedFrom !== undefined && `taken over from ${reusedFrom}`,
    attempts.length > 1 && `${attempts.length} attempts`,
  ].filter((one) => typeof one === 'string');
  return why.length === 0 ? '–' : why.join('; ');
}
