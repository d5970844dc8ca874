import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';
import { ReplayCounts, ReplayRequest } from '../shapes/audit/replay-shape.js';

const replayId = Type.String({ description: 'rpl_…' });
const exampleId = 'rpl_01jq5x1d0wkz4s3v2n8m7b6c5a';

/** The life of a replay: few events, however many it reads. How far it is, and its results, are kept beside the log. */
export const replayEvents = {
  'replay.requested': defineEvent({
    description: 'Someone asked to replay a part of the log.',
    system: true,
    data: Type.Object({
      replayId,
      request: ReplayRequest,
      upTo: Type.String({ description: 'position of the newest event at the time of the request: it ends there' }),
      count: Type.Optional(
        Type.Integer({ minimum: 1, description: 'of a rerun: events that are acted on, as confirmed' }),
      ),
      worldAt: Type.Optional(
        Type.String({ description: 'position whose rules and workflows decide; absent: that of the request' }),
      ),
    }),
    example: {
      replayId: exampleId,
      request: { mode: 'inspect' as const, from: '2026-11-20', filter: { type: 'git.push' } },
      upTo: '4711',
    },
  }),
  'replay.started': defineEvent({
    description: 'A replay began to read the log.',
    system: true,
    data: Type.Object({ replayId }),
    example: { replayId: exampleId },
  }),
  'replay.event_rerun': defineEvent({
    description:
      'Rules or workflows act again on an event of the past. It begins a story of its own; the requests follow from it.',
    system: true,
    data: Type.Object({
      replayId,
      replayOf: Type.String({ description: 'the event of the past' }),
      eventType: Type.String(),
      decisions: Type.Array(
        Type.Object({
          kind: Type.Union([Type.Literal('rule'), Type.Literal('workflow')]),
          by: Type.String({ description: 'id of the rule or workflow' }),
          name: Type.String(),
          version: Type.String(),
          actions: Type.Array(Type.Object({ type: Type.String(), requestId: Type.String() })),
        }),
      ),
    }),
    example: {
      replayId: exampleId,
      replayOf: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a',
      eventType: 'git.push',
      decisions: [
        {
          kind: 'rule' as const,
          by: 'rul_01jq5x1d0wkz4s3v2n8m7b6c5a',
          name: 'pushes to main',
          version: '1',
          actions: [{ type: 'issue.requested', requestId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5b' }],
        },
      ],
    },
  }),
  'replay.finished': defineEvent({
    description: 'A replay came to its end.',
    system: true,
    data: Type.Object({ replayId, ...ReplayCounts.properties }),
    example: { replayId: exampleId, looked: 1200, selected: 340, results: 340, differences: 0 },
  }),
  'replay.failed': defineEvent({
    description: 'A replay could not go on.',
    system: true,
    data: Type.Object({ replayId, code: Type.String(), detail: Type.String() }),
    example: {
      replayId: exampleId,
      code: 'expression.too_costly',
      detail: 'The expression takes too many steps for an event.',
    },
  }),
  'replay.cancelled': defineEvent({
    description: 'A replay was cancelled. Its results so far stay.',
    system: true,
    data: Type.Object({ replayId }),
    example: { replayId: exampleId },
  }),
} as const;
