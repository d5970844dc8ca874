import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';

/** What runs wait for among the events that may come, and what came of it. */
const step = { runId: Type.String(), path: Type.String() };

/** An event that answers a wait. */
const answer = {
  /** Which of the choices of the wait it fits, from 0. */
  choice: Type.Integer({ minimum: 0 }),
  event: Type.Object({
    id: Type.String(),
    type: Type.String(),
    source: Type.String(),
    subject: Type.String(),
    timestamp: Type.String(),
    /** Absent where they are too large to be passed on. */
    data: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  }),
};

const runId = 'run_01jq5x1d0wkz4s3v2n8m7b6c5a';
const at = '2026-11-20T13:14:15.123Z';
const received = {
  id: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a',
  type: 'comment.created',
  source: 'github',
  subject: 'issue/acme/app/7',
  timestamp: at,
  data: { body: 'Yes.' },
};

const vote = {
  decision: Type.Union([Type.Literal('approve'), Type.Literal('reject')]),
  /** Who: `token/tok_…`. */
  by: Type.String(),
  at: Type.String(),
  /** Decided through a link. */
  via: Type.Optional(Type.Literal('link')),
  comment: Type.Optional(Type.String()),
  /** Values of the form. */
  form: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
};
const voted = { decision: 'approve' as const, by: 'token/tok_01jq5x1d0wkz4s3v2n8m7b6c5a', at, comment: 'Go ahead.' };

export const waitEvents = {
  'run.wait_begun': defineEvent({
    description:
      'A step waits for an event. What its conditions need to know of the run is in here: each event is tested without it.',
    system: true,
    data: Type.Object({
      ...step,
      stepId: Type.String(),
      /** UUID of this event. */
      requestId: Type.String(),
      /** One of them is enough. */
      choices: Type.Array(Type.Object({ event: Type.Array(Type.String()), when: Type.Optional(Type.String()) })),
      /** What the conditions read of the run, as it was when the wait began. */
      scope: Type.Record(Type.String(), Type.Unknown()),
      /** Where the search for an earlier event begins: at the start of the run, or of the step. */
      since: Type.Union([Type.Literal('run'), Type.Literal('step')]),
      /** An event that is recorded later comes too late. */
      until: Type.Optional(Type.String()),
      /** An event with larger data is passed on without them. */
      maxBytes: Type.Integer(),
    }),
    example: {
      runId,
      path: 'answer',
      stepId: 'answer',
      requestId: '0194b3d0-8f6a-5b7e-9c51-0d4f2f1a7c11',
      choices: [{ event: ['comment.created'], when: 'data.issue.number == event.data.issue.number' }],
      scope: { event: { data: { issue: { number: 7 } } } },
      since: 'run',
      until: at,
      maxBytes: 204800,
    },
  }),
  'run.wait_answered': defineEvent({
    description: 'The event that a run waited for is there. It names the wait as its cause; the first one counts.',
    system: true,
    data: Type.Object({ ...step, requestId: Type.String(), ...answer }),
    example: { runId, path: 'answer', requestId: '0194b3d0-8f6a-5b7e-9c51-0d4f2f1a7c11', choice: 0, event: received },
  }),
  'run.event_received': defineEvent({
    description: 'A run took the event that it had waited for. The event answers no other wait of this run.',
    system: true,
    data: Type.Object({ ...step, stepId: Type.String(), requestId: Type.String(), ...answer }),
    example: {
      runId,
      path: 'answer',
      stepId: 'answer',
      requestId: '0194b3d0-8f6a-5b7e-9c51-0d4f2f1a7c11',
      choice: 0,
      event: received,
    },
  }),

  'approval.requested': defineEvent({
    description: 'A run waits until people approve or reject something.',
    data: Type.Object({
      ...step,
      stepId: Type.String(),
      workflowId: Type.String(),
      workflow: Type.String(),
      /** UUID of this event. */
      requestId: Type.String(),
      title: Type.String(),
      description: Type.Optional(Type.String()),
      /** What an approver fills in: inputs by name, as a manual trigger declares them. */
      form: Type.Record(Type.String(), Type.Unknown()),
      /** Roles and names of tokens. */
      approvers: Type.Array(Type.String()),
      /** So many approvals are needed. */
      count: Type.Integer({ minimum: 1 }),
      /** Whether the caller who started the run may approve. */
      selfApproval: Type.Boolean(),
      until: Type.Optional(Type.String()),
      /** One entry for each approver that is named, and one for anybody else who may decide. Each link works once. */
      links: Type.Optional(
        Type.Array(
          Type.Object({ approver: Type.Optional(Type.String()), approve: Type.String(), reject: Type.String() }),
        ),
      ),
    }),
    example: {
      runId,
      path: 'ok',
      stepId: 'ok',
      workflowId: 'wf_01jq5x1d0wkz4s3v2n8m7b6c5a',
      workflow: 'deploy',
      requestId: '0194b3d0-8f6a-5b7e-9c51-0d4f2f1a7c11',
      title: 'Deploy to production?',
      form: {},
      approvers: ['admin', 'designer'],
      count: 1,
      selfApproval: false,
      until: at,
    },
  }),
  'approval.voted': defineEvent({
    description: 'An approval of a run was decided.',
    system: true,
    data: Type.Object({ ...step, requestId: Type.String(), ...vote }),
    example: { runId, path: 'ok', requestId: '0194b3d0-8f6a-5b7e-9c51-0d4f2f1a7c11', ...voted },
  }),
  'approval.decided': defineEvent({
    description: 'There are enough approvals, or a rejection. The first decision counts.',
    data: Type.Object({
      ...step,
      requestId: Type.String(),
      approved: Type.Boolean(),
      /** In their order; the last one decided. */
      votes: Type.Array(Type.Object(vote)),
    }),
    example: {
      runId,
      path: 'ok',
      requestId: '0194b3d0-8f6a-5b7e-9c51-0d4f2f1a7c11',
      approved: true,
      votes: [voted],
    },
  }),
} as const;
