import { writeFile } from 'node:fs/promises';

import type { RunDetails } from '#libs/events/src/shapes/run-shape.js';
import type { WorkflowVersionDetails } from '#libs/events/src/shapes/workflow-shape.js';
import { exportRun, type ExportedRun } from '#libs/workflows/src/trial/export-run.js';

import { libraryOf } from './step-library.js';
import type { Shell } from '../shell.js';

export interface ExportOptions {
  readonly asTest?: true;
  readonly output?: string;
  readonly plugins?: string;
}

/** Writes a test of the workflow that does what a recorded run did. */
export async function exportAsTest(
  shell: Shell,
  id: string,
  { asTest, output, plugins }: ExportOptions,
  env: NodeJS.ProcessEnv,
): Promise<number> {
  if (!asTest) {
    shell.note('Say what the run becomes: millrace run export <run> --as-test');
    return 2;
  }
  const library = await libraryOf(plugins ?? env['MILLRACE_PLUGINS'] ?? '');
  const run = await shell.call<RunDetails>('GET', `/api/v1/runs/${encodeURIComponent(id)}`);
  const version = `/api/v1/workflows/${encodeURIComponent(run.workflow)}/versions/${encodeURIComponent(run.version)}`;
  const { source } = await shell.call<WorkflowVersionDetails>('GET', version);
  const event =
    run.eventId === undefined
      ? undefined
      : await shell.call<NonNullable<ExportedRun['event']>>('GET', `/api/v1/events/${encodeURIComponent(run.eventId)}`);
  const retrySchedule = source.includes('settings') ? await retryScheduleOf(shell, id) : undefined;
  const exported = { run, source, ...(event && { event }), ...(retrySchedule && { retrySchedule }) };
  const { text, leftOut } = exportRun(exported, library);
  if (leftOut.length > 0) shell.note(`Left out, since a test run has other values: ${leftOut.join(', ')}.`);
  if (output === undefined) shell.print(text.trimEnd());
  else {
    await writeFile(output, text);
    shell.note(`Wrote ${output}. Run it with: millrace workflow test ${output}`);
  }
  return 0;
}

/** The delays that the run began with. */
async function retryScheduleOf(shell: Shell, id: string): Promise<readonly string[] | undefined> {
  interface Started {
    readonly data: { readonly settings?: { readonly retrySchedule?: readonly string[] } };
  }
  const path = `/api/v1/events?type=workflow.started&subject=${encodeURIComponent(`run/${id}`)}&limit=1`;
  const { data } = await shell.call<{ data: readonly Started[] }>('GET', path);
  return data[0]?.data.settings?.retrySchedule;
}
