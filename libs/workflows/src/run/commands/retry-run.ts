import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readAt } from '#libs/event-store/src/reading.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { evolve, type StartedRun } from '../../engine/run-state.js';
import type { Definition } from '../../language/definition.js';
import { concurrencyOf } from '../first-append.js';
import { IN_ORDER } from '../turns/turns.js';
import { type ChangedRun, changeRun, type RunCommand, statusOf } from './change-run.js';
import { firstDifference, retryPlan } from './retry-plan.js';

export interface Retry extends RunCommand {
  /** Go on with this version: its hash, or its number. */
  readonly version?: string;
  /** The request that asks for it: the same one retries a run once, however often it is repeated. */
  readonly request?: string;
}

/** Where the versions of workflows are found. */
export interface VersionLookup {
  find(workflowId: string, version: string): Promise<Definition | undefined>;
  /** The hash of a version that is named by its hash or its number. */
  versionNamed(workflowId: string, name: string): Promise<string | undefined>;
}

/**
 * Lets a failed run go on from the steps that failed: on its version, or on another one in which everything that it has
 * behind it is the same.
 * @throws Rejected `run.not_found`, `run.not_failed`, `run.unknown_version`, `run.version_differs`, `workflow.broken`
 */
export const retryRun = (
  store: EventStore,
  versions: VersionLookup,
  retry: Retry,
  now: () => Date,
): Promise<ChangedRun> =>
  changeRun(store, retry, now, async (run) => {
    const { runId, by, request } = retry;
    if (request !== undefined && run.retriedBy.includes(request)) return [];
    if (!run.ended || run.status !== 'failed')
      throw new Rejected(
        'conflict',
        'run.not_failed',
        `The run is ${run.status}; only a failed run can be retried.${run.ended ? ' Restart it instead.' : ''}`,
      );
    const { workflowId, version: own } = run.start;
    const definition = await usable(versions, run, own);
    const version = await newVersion(versions, run, retry.version);
    const data: DataOf<'run.retried'> = {
      runId,
      by,
      ...(version !== undefined && { version }),
      forget: [],
      reopen: [],
      ...(request !== undefined && { request }),
    };
    const plan = retryPlan(run, definition);
    const planned = { ...data, forget: [...plan.forget], reopen: [...plan.reopen] };
    let { concurrency } = run.start;
    if (version !== undefined) {
      const other = await usable(versions, run, version);
      const after = evolve(run, { type: 'run.retried', data: planned, timestamp: run.startedAt }) as StartedRun;
      const difference = firstDifference(after.steps, definition.steps, other.steps);
      if (difference !== undefined) throw differs(difference, retry.version!);
      concurrency = concurrencyOf(workflowId, other, run.start.inputs, await causeOf(store, run));
    }
    return [
      {
        type: 'run.retried',
        data: { ...planned, ...(concurrency && { concurrency: { ...concurrency, ...IN_ORDER } }) },
      },
      statusOf(run, concurrency ? 'queued' : 'running'),
    ];
  });

/** The version to change to, if it is another one. */
async function newVersion(
  versions: VersionLookup,
  { start: { workflowId, workflow, version: own } }: StartedRun,
  asked: string | undefined,
): Promise<string | undefined> {
  if (asked === undefined) return undefined;
  const version = await versions.versionNamed(workflowId, asked);
  if (version === undefined)
    throw new Rejected(
      'invalid',
      'run.unknown_version',
      `"${workflow}" has no version ${asked}. GET /api/v1/workflows/${workflow}/versions lists them.`,
      { problems: [{ pointer: '/version', detail: 'Must be the hash or the number of a version of the workflow.' }] },
    );
  return version === own ? undefined : version;
}

async function usable(versions: VersionLookup, { start }: StartedRun, version: string): Promise<Definition> {
  const definition = await versions.find(start.workflowId, version);
  if (definition) return definition;
  throw new Rejected(
    'conflict',
    'workflow.broken',
    `"${start.workflow}" cannot run: a step that version ${version} uses is not installed.`,
  );
}

const differs = (step: string, version: string): Rejected =>
  new Rejected(
    'conflict',
    'run.version_differs',
    `The step "${step}" is not the same in version ${version}, and the run has it behind it. Retry on a version that changes later steps only, or restart the run.`,
    { problems: [{ pointer: '/version', detail: `Must have the same step "${step}".`, code: 'run.version_differs' }] },
  );

/** The event that led to a run. */
async function causeOf(store: EventStore, { start: { event } }: StartedRun): Promise<RecordedEvent | undefined> {
  return event && (await readAt(store, event.stream, event.revision));
}
