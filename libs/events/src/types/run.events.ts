import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';
import { RunError, RunFilter } from '../shapes/run-shape.js';
import { RunConcurrency } from './workflow.events.js';

/** What people do with runs, beside what runs record about themselves (`workflow.events.ts`). */
const runId = 'run_01jq5x1d0wkz4s3v2n8m7b6c5a';
const retryId = 'ret_01jq5x1d0wkz4s3v2n8m7b6c5a';

export const runEvents = {
  'run.retried': defineEvent({
    description: 'A failed run goes on. Nothing that has completed is done again.',
    system: true,
    data: Type.Object({
      runId: Type.String(),
      by: Type.String(),
      /** Set if the run goes on with another version of the workflow. */
      version: Type.Optional(Type.String()),
      /** Paths of the steps that start again: those that failed or were interrupted, and those of `onFailure` and `finally`. */
      forget: Type.Array(Type.String()),
      /** Paths of the steps that hold such steps and go on, outer ones first. */
      reopen: Type.Array(Type.String()),
      /** Set if the run waits for its turn again. */
      concurrency: Type.Optional(RunConcurrency),
      /** Names the request that asked for it: the same request retries a run once. */
      request: Type.Optional(Type.String()),
    }),
    example: { runId, by: 'token/tok_01jq5x1d0wkz4s3v2n8m7b6c5a', forget: ['each[2].fetch'], reopen: ['each'] },
  }),
  'run.paused': defineEvent({
    description: 'A run was paused: nothing new begins in it until it is resumed.',
    system: true,
    data: Type.Object({ runId: Type.String(), by: Type.String() }),
    example: { runId, by: 'token/tok_01jq5x1d0wkz4s3v2n8m7b6c5a' },
  }),
  'run.resumed': defineEvent({
    description: 'A run that was paused or blocked goes on.',
    system: true,
    data: Type.Object({ runId: Type.String(), by: Type.String() }),
    example: { runId, by: 'token/tok_01jq5x1d0wkz4s3v2n8m7b6c5a' },
  }),
  'run.crashed': defineEvent({
    description: 'The process that was busy with a run died.',
    system: true,
    data: Type.Object({
      runId: Type.String(),
      /** Steps that were under way, at most 20. */
      paths: Type.Array(Type.String()),
    }),
    example: { runId, paths: ['fetch'] },
  }),
  'run.blocked': defineEvent({
    description: 'Processes died again and again at the same steps of a run. It goes on when it is resumed.',
    system: true,
    data: Type.Object({
      runId: Type.String(),
      crashes: Type.Integer({ minimum: 1 }),
      paths: Type.Array(Type.String()),
    }),
    example: { runId, crashes: 10, paths: ['fetch'] },
  }),
  'run.request_withdrawn': defineEvent({
    description:
      'A run no longer wants what a step requested: the run or the step has ended, or its time is over. A run of another workflow and an execution are cancelled; of the rest, what has begun goes on.',
    system: true,
    data: Type.Object({
      runId: Type.String(),
      /** UUID of the request event. */
      requestId: Type.String(),
      /** Its type. */
      request: Type.String(),
      /** Of the step; absent in what older versions wrote. */
      path: Type.Optional(Type.String()),
      /** Where it stands in the stream of the run; only in what older versions wrote. */
      revision: Type.Optional(Type.String()),
      /** The delivery, where the request named one. */
      deliveryId: Type.Optional(Type.String()),
    }),
    example: {
      runId,
      requestId: '0194b3d0-8f6a-5b7e-9c51-0d4f2f1a7c11',
      path: 'retries[0].redeliver',
      request: 'webhook.redelivery_requested',
      deliveryId: 'del_01jq5x1d0wkz4s3v2n8m7b6c5a',
    },
  }),
  'run.step_reused': defineEvent({
    description: 'A run that was restarted from a later step took this one over from the earlier run.',
    system: true,
    data: Type.Object({
      runId: Type.String(),
      path: Type.String(),
      stepId: Type.String(),
      /** The earlier run. */
      of: Type.String(),
      status: Type.Union([Type.Literal('completed'), Type.Literal('failed'), Type.Literal('skipped')]),
      output: Type.Unknown(),
      error: Type.Optional(RunError),
      /** Variables that the step had set. */
      values: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    }),
    example: { runId, path: 'fetch', stepId: 'fetch', of: runId, status: 'completed', output: { status: 200 } },
  }),
  'run.bulk_retry_requested': defineEvent({
    description: 'Many failed runs are to be retried.',
    system: true,
    data: Type.Object({
      retryId: Type.String(),
      filter: RunFilter,
      /** Runs that matched. */
      count: Type.Integer({ minimum: 0 }),
      /** Runs a second. */
      rate: Type.Integer({ minimum: 1 }),
    }),
    example: { retryId, filter: { workflow: 'sync', errorCode: 'http.status' }, count: 120, rate: 10 },
  }),
  'run.bulk_retry_progressed': defineEvent({
    description: 'Some of many runs were retried; the next ones are named.',
    system: true,
    data: Type.Object({
      retryId: Type.String(),
      retried: Type.Integer({ minimum: 0 }),
      /** Runs that could not be retried, and why. */
      refused: Type.Array(Type.Object({ runId: Type.String(), code: Type.String() })),
      /** The next runs. */
      runs: Type.Array(Type.String()),
      /** The last of them, in the order of the list. */
      after: Type.Optional(Type.Object({ startedAt: Type.String(), id: Type.String() })),
    }),
    example: { retryId, retried: 9, refused: [{ runId, code: 'run.not_failed' }], runs: [runId] },
  }),
  'run.bulk_retry_ended': defineEvent({
    description: 'All of many runs were retried, or it was cancelled.',
    system: true,
    data: Type.Object({
      retryId: Type.String(),
      status: Type.Union([Type.Literal('completed'), Type.Literal('cancelled')]),
    }),
    example: { retryId, status: 'completed' },
  }),
} as const;
