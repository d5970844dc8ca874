import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';
import { TriggerDecision } from '../shapes/decision-shape.js';

const schedule = {
  workflowId: Type.String(),
  /** The workflow's name. */
  workflow: Type.String(),
  /** What the trigger says of its times, such as `0 9 * * 1-5 Europe/Berlin` or `every 15m`. */
  trigger: Type.String(),
};

const example = {
  workflowId: 'wf_01jq5x1d0wkz4s3v2n8m7b6c5a',
  workflow: 'nightly-report',
  trigger: '0 9 * * 1-5 Europe/Berlin',
};

/**
 * What triggers of workflows made of events, and the ticks of `schedule` triggers. Each tick has a stream of its own
 * (`tick-…`), so it is recorded once.
 */
export const triggerEvents = {
  'trigger.evaluated': defineEvent({
    description:
      'The decisions of triggers on several events that started no run. A run that started says so itself (`workflow.started`).',
    system: true,
    data: Type.Object({
      events: Type.Array(
        Type.Object({
          /** The event that was looked at. */
          eventId: Type.String(),
          eventType: Type.String(),
          decisions: Type.Array(TriggerDecision),
        }),
      ),
      /** Decisions on events that waited for the end of a burst or batch: they take the place of those recorded before. */
      afterGroup: Type.Optional(Type.Literal(true)),
    }),
    example: {
      events: [
        {
          eventId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a',
          eventType: 'git.push',
          decisions: [
            {
              workflowId: 'wf_01jq5x1d0wkz4s3v2n8m7b6c5a',
              workflow: 'deploy',
              version: '3f1c0a9be4d27586',
              trigger: 0,
              outcome: 'not_matched' as const,
              failed: {
                pointer: '/triggers/0/branches',
                condition: 'data.branch fits main',
                field: 'data.branch',
                actual: 'topic',
                expected: ['main'],
              },
            },
          ],
        },
      ],
    },
  }),

  'trigger.group_ended': defineEvent({
    description: 'A burst (`debounce`) or `batch` of a trigger ended: the trigger now decides about its events.',
    system: true,
    data: Type.Object({
      workflowId: Type.String(),
      /** Place of the trigger in the text. */
      trigger: Type.Integer({ minimum: 0 }),
      /** What the events have in common, filled in; a hash where it is long. */
      key: Type.String(),
      /** The last event of the group. */
      eventId: Type.String(),
    }),
    example: {
      workflowId: 'wf_01jq5x1d0wkz4s3v2n8m7b6c5a',
      trigger: 0,
      key: 'acme/app',
      eventId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a',
    },
  }),
  'schedule.fired': defineEvent({
    description: 'The time of a schedule trigger came. Recorded once for each workflow, trigger and time.',
    system: true,
    data: Type.Object({
      ...schedule,
      /** The time of the schedule, without jitter: RFC 3339 UTC. */
      at: Type.String(),
      /** Set if the time was missed and `catchup` asked for it, or a person did (`backfill`). */
      late: Type.Optional(Type.Union([Type.Literal('catchup'), Type.Literal('backfill')])),
    }),
    example: { ...example, at: '2026-11-20T08:00:00.000Z' },
  }),
  'schedule.skipped': defineEvent({
    description: 'Times of a schedule trigger were missed, and `catchup` does not ask for them.',
    system: true,
    data: Type.Object({
      ...schedule,
      /** The first and the last time that were missed: RFC 3339 UTC. */
      from: Type.String(),
      to: Type.String(),
    }),
    example: { ...example, from: '2026-11-18T08:00:00.000Z', to: '2026-11-19T08:00:00.000Z' },
  }),
} as const;
