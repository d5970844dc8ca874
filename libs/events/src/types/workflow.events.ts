import { type Static, Type } from '@sinclair/typebox';

import { shownInput } from '../credentials.js';
import { defineEvent } from '../define-event.js';
import { secretPlaces } from '../secrets/secret-places.js';
import { RunError, RunStatus, TimerPurpose, WorkflowTrigger } from '../shapes/run-shape.js';
import { activeVersion, workflowVersion } from '../shapes/workflow-shape.js';

/**
 * Definitions (stream `workflow-{id}`) and runs (stream `run-{id}`). Lifecycle events of a run are ordinary types, so that
 * webhooks and rules may listen to them; what only the engine needs in order to go on is a system type, `run.*`.
 *
 * A `path` names one step of one run: its id, and inside a loop the loop's path with the index of the item:
 * `retries[2].redeliver`.
 */
const workflow = {
  workflowId: Type.String(),
  /** The workflow's name when the run started. */
  workflow: Type.String(),
};
const run = { runId: Type.String(), ...workflow };
const step = { runId: Type.String(), path: Type.String() };

/** An event, and where the log keeps it. */
export const EventPlace = Type.Object({
  id: Type.String(),
  type: Type.String(),
  stream: Type.String(),
  revision: Type.String(),
});
export type EventPlace = Static<typeof EventPlace>;

/** How many runs of one key may be under way, and what becomes of one more. */
export const RunConcurrency = Type.Object({
  /** Filled in, with the workflow before it; a hash where it is long. */
  key: Type.String(),
  limit: Type.Integer({ minimum: 1 }),
  onConflict: Type.Union([Type.Literal('queue'), Type.Literal('skip'), Type.Literal('cancel_running')]),
  maxQueued: Type.Integer({ minimum: 0 }),
  /** Absent: a run keeps its place while it waits. */
  whileWaiting: Type.Optional(Type.Literal('release')),
});

const workflowId = 'wf_01jq5x1d0wkz4s3v2n8m7b6c5a';
const runId = 'run_01jq5x1d0wkz4s3v2n8m7b6c5a';
const eventId = 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a';
const ofRun = { runId, workflowId, workflow: 'retry-failed-webhooks' };
const version = '3f1c0a9be4d27586';
const at = '2026-11-20T13:14:15.123Z';
const error = {
  type: 'communication' as const,
  message: 'GET https://example.com answered 500.',
  code: 'http.status',
  path: 'fetch',
};

export const workflowEvents = {
  'workflow.saved': defineEvent({
    description: 'A version of a workflow was saved. Versions never change: a changed text is a new version.',
    system: true,
    // The text may hold credentials; GET /api/v1/workflows/:name shows it to those who may read workflows.
    hidden: ['source'],
    data: Type.Object({ workflowId: Type.String(), ...workflowVersion }),
    example: {
      workflowId,
      name: 'retry-failed-webhooks',
      version,
      number: 1,
      source: 'name: retry-failed-webhooks\n…',
      origin: 'file',
      file: 'retry-failed-webhooks.yaml',
    },
  }),
  'workflow.activated': defineEvent({
    description: 'A version was activated: new runs use it, active runs keep theirs.',
    system: true,
    data: Type.Object({ workflowId: Type.String(), ...activeVersion }),
    example: { workflowId, name: 'retry-failed-webhooks', version, origin: 'api' },
  }),
  'workflow.archived': defineEvent({
    description: 'A workflow was archived: it starts no more runs. Its versions and runs stay.',
    system: true,
    data: Type.Object({ workflowId: Type.String(), name: Type.String(), reason: Type.String() }),
    example: { workflowId, name: 'retry-failed-webhooks', reason: 'its file was removed' },
  }),
  'workflow.paused': defineEvent({
    description: 'The triggers of the workflow start no runs until it is resumed. Runs under way go on.',
    system: true,
    data: Type.Object({ workflowId: Type.String(), name: Type.String() }),
    example: { workflowId, name: 'retry-failed-webhooks' },
  }),
  'workflow.resumed': defineEvent({
    description: 'The triggers of the workflow start runs again.',
    system: true,
    data: Type.Object({ workflowId: Type.String(), name: Type.String() }),
    example: { workflowId, name: 'retry-failed-webhooks' },
  }),

  'workflow.started': defineEvent({
    description:
      'A run was created. It is pinned to one version and holds everything that its decisions depend on. With `concurrency` it is queued until it is its turn.',
    data: Type.Object({
      ...run,
      version: Type.String(),
      trigger: Type.Object({
        kind: WorkflowTrigger,
        /** Place of the trigger in the definition; absent for a request by a rule. */
        index: Type.Optional(Type.Integer()),
        /** Why the run began although nobody knows whether the event fits the trigger. */
        because: Type.Optional(Type.String()),
      }),
      inputs: Type.Record(Type.String(), Type.Unknown()),
      /** The run whose step asked for this one. */
      parent: Type.Optional(Type.Object({ runId: Type.String(), path: Type.String() })),
      /** The event that led to the run: read from the log when an expression asks for it, not copied. */
      event: Type.Optional(EventPlace),
      /** All events that led to it, where a `batch` collected several; `event` is the last of them. */
      events: Type.Optional(Type.Array(EventPlace)),
      /** What the environment said at the time, so that a run decides the same wherever it goes on. */
      settings: Type.Object({ retrySchedule: Type.Array(Type.String(), { description: 'durations, such as 5m' }) }),
      /** Number of causes before the run. */
      hop: Type.Integer(),
      /** The run that this one does again. */
      restartOf: Type.Optional(Type.String()),
      /** Set if the run waits for its turn. */
      concurrency: Type.Optional(RunConcurrency),
      /** Set if the process that recorded the run has begun it: nobody else takes it up while that process lives. */
      claim: Type.Optional(Type.Object({ process: Type.String(), number: Type.String() })),
    }),
    internal: ['claim'],
    example: {
      ...ofRun,
      version,
      trigger: { kind: 'event', index: 0 },
      inputs: {},
      event: { id: eventId, type: 'webhook.failed', stream: 'delivery-del_01jq5x1d0wkz4s3v2n8m7b6c5a', revision: '1' },
      settings: { retrySchedule: ['1m', '5m', '30m', '2h', '24h'] },
      hop: 3,
    },
  }),
  'workflow.step_completed': defineEvent({
    description: 'A step of a run ended. It is never executed again.',
    data: Type.Object({
      ...run,
      path: Type.String(),
      stepId: Type.String(),
      output: Type.Unknown(),
      attempts: Type.Integer({ minimum: 1 }),
      startedAt: Type.String(),
    }),
    example: { ...ofRun, path: 'fetch', stepId: 'fetch', output: { status: 200 }, attempts: 1, startedAt: at },
  }),
  'workflow.error': defineEvent({
    description: 'A step of a run failed after all its attempts.',
    data: Type.Object({
      ...run,
      path: Type.String(),
      stepId: Type.String(),
      error: RunError,
      /** What the step had to show in spite of its failure, such as the answer to a request. */
      output: Type.Unknown(),
      attempts: Type.Integer({ minimum: 0 }),
      startedAt: Type.String(),
      /** Whether the run goes on all the same (`onError: continue`). */
      continued: Type.Boolean(),
    }),
    example: {
      ...ofRun,
      path: 'fetch',
      stepId: 'fetch',
      error,
      output: { status: 500 },
      attempts: 5,
      startedAt: at,
      continued: false,
    },
  }),
  'workflow.completed': defineEvent({
    description: 'A run completed.',
    data: Type.Object({ ...run, outputs: Type.Record(Type.String(), Type.Unknown()), startedAt: Type.String() }),
    example: { ...ofRun, outputs: { url: 'https://example.com' }, startedAt: at },
  }),
  'workflow.failed': defineEvent({
    description: 'A run failed: a step failed, or its time limit was reached.',
    data: Type.Object({ ...run, error: RunError, startedAt: Type.String() }),
    example: { ...ofRun, error, startedAt: at },
  }),
  'workflow.skipped': defineEvent({
    description: 'A run ended before its first step, since `concurrency` of its workflow left no place for it.',
    data: Type.Object({
      ...run,
      reason: Type.Union([Type.Literal('running'), Type.Literal('queue-full')]),
      detail: Type.String(),
    }),
    example: { ...ofRun, reason: 'queue-full', detail: '100 runs wait already; "maxQueued" is 100.' },
  }),
  'workflow.near_limit': defineEvent({
    description: 'A run has reached 80 % of a limit: it fails at the limit. Recorded once for each limit of a run.',
    data: Type.Object({
      ...run,
      limit: Type.Union([Type.Literal('steps'), Type.Literal('items'), Type.Literal('output')]),
      /** The step, of items and output. */
      path: Type.Optional(Type.String()),
      /** Steps, items, or bytes. */
      value: Type.Integer(),
      max: Type.Integer(),
    }),
    example: { ...ofRun, limit: 'items', path: 'retries', value: 900, max: 1000 },
  }),
  'workflow.status_changed': defineEvent({
    description: 'The status of a run changed.',
    data: Type.Object({ ...run, from: Type.Optional(RunStatus), to: RunStatus }),
    example: { ...ofRun, from: 'running', to: 'waiting' },
  }),

  'run.step_started': defineEvent({
    description: 'An attempt of a step with effects is about to begin.',
    system: true,
    shown: shownInput,
    data: Type.Object({
      ...step,
      stepId: Type.String(),
      attempt: Type.Integer({ minimum: 1 }),
      /** What the step is given: `with`, with its templates filled in. */
      input: Type.Unknown(),
      secrets: secretPlaces,
    }),
    example: { runId, path: 'fetch', stepId: 'fetch', attempt: 1, input: { url: 'https://example.com' } },
  }),
  'run.step_resumed': defineEvent({
    description:
      'The process of an attempt is gone, and another process took the attempt over. Results of the first process are ignored.',
    system: true,
    data: Type.Object({ ...step, attempt: Type.Integer({ minimum: 1 }) }),
    example: { runId, path: 'fetch', attempt: 1 },
  }),
  'run.attempt_failed': defineEvent({
    description: 'An attempt of a step failed and will be retried.',
    system: true,
    data: Type.Object({
      ...step,
      attempt: Type.Integer({ minimum: 1 }),
      error: RunError,
      output: Type.Unknown(),
      retryAt: Type.String(),
    }),
    example: { runId, path: 'fetch', attempt: 1, error, output: { status: 500 }, retryAt: at },
  }),
  'run.step_awaiting': defineEvent({
    description:
      'A step sent a request to another stage and waits for the outcome, which names the request as its cause.',
    system: true,
    data: Type.Object({
      ...step,
      stepId: Type.String(),
      /** UUID of the request event. */
      requestId: Type.String(),
      input: Type.Unknown(),
      /** From 1; of a step with `retry`. */
      attempt: Type.Optional(Type.Integer({ minimum: 1 })),
    }),
    example: {
      runId,
      path: 'retries[0].redeliver',
      stepId: 'redeliver',
      requestId: '0194b3d0-8f6a-5b7e-9c51-0d4f2f1a7c11',
      input: { delivery: 'del_01jq5x1d0wkz4s3v2n8m7b6c5a', after: '1m' },
    },
  }),
  'run.step_skipped': defineEvent({
    description: 'A step was skipped: its `if` was not true.',
    system: true,
    data: Type.Object({ ...step, stepId: Type.String() }),
    example: { runId, path: 'exhausted', stepId: 'exhausted' },
  }),
  'run.branch_taken': defineEvent({
    description: 'A switch chose one of its cases, or none.',
    system: true,
    data: Type.Object({
      ...step,
      stepId: Type.String(),
      /** Place of the case, from 0; -1 where none was true. */
      case: Type.Integer({ minimum: -1 }),
    }),
    example: { runId, path: 'decide', stepId: 'decide', case: 0 },
  }),
  'run.branches_started': defineEvent({
    description: 'The branches of a parallel begin.',
    system: true,
    data: Type.Object({ ...step, stepId: Type.String(), count: Type.Integer({ minimum: 1 }) }),
    example: { runId, path: 'both', stepId: 'both', count: 2 },
  }),
  'run.iteration_started': defineEvent({
    description: 'A while begins an iteration, since its condition is true.',
    system: true,
    data: Type.Object({ ...step, stepId: Type.String(), index: Type.Integer({ minimum: 0 }) }),
    example: { runId, path: 'poll', stepId: 'poll', index: 1 },
  }),
  'run.vars_set': defineEvent({
    description: 'A step set variables of the run.',
    system: true,
    data: Type.Object({ ...step, stepId: Type.String(), values: Type.Record(Type.String(), Type.Unknown()) }),
    example: { runId, path: 'remember', stepId: 'remember', values: { attempts: 2 } },
  }),
  'run.loop_entered': defineEvent({
    description: 'A forEach started.',
    system: true,
    data: Type.Object({ ...step, stepId: Type.String(), count: Type.Integer({ minimum: 0 }) }),
    example: { runId, path: 'retries', stepId: 'retries', count: 5 },
  }),
  'run.item_completed': defineEvent({
    description: 'One item of a forEach ended; `stop` is true if `until` was true.',
    system: true,
    data: Type.Object({ ...step, index: Type.Integer({ minimum: 0 }), stop: Type.Boolean() }),
    example: { runId, path: 'retries', index: 1, stop: true },
  }),
  'run.timer_set': defineEvent({
    description: 'A step started to wait for a time.',
    system: true,
    data: Type.Object({
      /** The empty path is the run's own time limit. */
      ...step,
      purpose: TimerPurpose,
      at: Type.String(),
    }),
    example: { runId, path: 'nap', purpose: 'wait', at },
  }),
  'run.timer_fired': defineEvent({
    description: 'The time that a step waited for was reached.',
    system: true,
    data: Type.Object({ ...step, purpose: TimerPurpose }),
    example: { runId, path: 'nap', purpose: 'wait' },
  }),
  'run.recovery_started': defineEvent({
    description: 'The steps of a run failed; the steps of `onFailure` follow.',
    system: true,
    data: Type.Object({ runId: Type.String(), error: RunError }),
    example: { runId, error },
  }),
  'run.finally_started': defineEvent({
    description: 'The steps of a run are over; the steps of `finally` follow, and then the run ends as `to` says.',
    system: true,
    data: Type.Object({
      runId: Type.String(),
      to: Type.Union([Type.Literal('completed'), Type.Literal('failed'), Type.Literal('cancelled')]),
      outputs: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
      error: Type.Optional(RunError),
      /** Who cancelled it. */
      by: Type.Optional(Type.String()),
    }),
    example: { runId, to: 'failed', error },
  }),
  'run.rested': defineEvent({
    description: 'A run waits, until `until` or until something happens that it waits for.',
    system: true,
    data: Type.Object({
      runId: Type.String(),
      until: Type.Optional(Type.String()),
      /** Ids of the requests whose outcome is waited for. */
      awaiting: Type.Array(Type.String()),
      released: Type.Optional(
        Type.Literal(true, { description: 'It gives its place to another run of its concurrency key.' }),
      ),
    }),
    example: { runId, until: at, awaiting: [] },
  }),
  'run.woken': defineEvent({
    description: 'A run that gave its place away while it waited has something to do again, and queues for a place.',
    system: true,
    data: Type.Object({ runId: Type.String(), concurrency: RunConcurrency }),
    example: {
      runId,
      concurrency: { key: workflowId, limit: 1, onConflict: 'queue', maxQueued: 100, whileWaiting: 'release' },
    },
  }),
  'run.cancelled': defineEvent({
    description: 'A run was cancelled.',
    system: true,
    data: Type.Object({
      runId: Type.String(),
      by: Type.String(),
      reason: Type.Optional(Type.String({ description: '`subject.erased`: the run needs data of an erased person' })),
    }),
    example: { runId, by: 'token/tok_01jq5x1d0wkz4s3v2n8m7b6c5a' },
  }),
} as const;
