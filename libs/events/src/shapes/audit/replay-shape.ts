import { type Static, Type } from '@sinclair/typebox';

import { EventDecisionAnswer } from '../decision-shape.js';
import { closed } from '../fields.js';

const time = Type.String({ format: 'date-time' });
const position = Type.String({ description: 'A position of the log: compare, never add.', examples: ['4711'] });
const count = (description: string) => Type.Integer({ minimum: 0, description });
const bound = (description: string) =>
  Type.String({
    description,
    examples: ['2026-11-20T13:00:00Z', '4711'],
    expected: 'a time such as 2026-11-20T13:00:00Z, or a position of the log',
  });

/** Which events are replayed. */
export const ReplayFilter = closed({
  type: Type.Optional(
    Type.Union([Type.String(), Type.Array(Type.String())], {
      description:
        'Names or globs. `*`, and every glob with `*` in its first segment, leaves out system types. Default: all types, system types too.',
      examples: ['git.*'],
      expected: 'an event type, a glob such as git.*, or a list of them',
    }),
  ),
  source: Type.Optional(Type.String({ description: 'A source or a glob.', examples: ['github'] })),
  subject: Type.Optional(Type.String({ description: 'A subject or a glob.', examples: ['repository/acme/*'] })),
  correlation: Type.Optional(Type.String({ description: 'Events of one story, by the id of its first event.' })),
  expression: Type.Optional(
    Type.String({ description: 'A JMESPath condition over the event.', examples: ["data.branch == 'main'"] }),
  ),
});
export type ReplayFilter = Static<typeof ReplayFilter>;

export const ReplayMode = Type.Union([Type.Literal('inspect')], {
  description: 'inspect: lists the events with the decisions and effects that followed.',
});
export type ReplayMode = Static<typeof ReplayMode>;

const request = {
  mode: ReplayMode,
  from: Type.Optional(bound('Where to begin: a time or a position, inclusive. Default: the beginning of the log.')),
  to: Type.Optional(
    bound(
      'Where to end: a time, exclusive, or a position, inclusive. Default: the newest event at the time of the request.',
    ),
  ),
  by: Type.Optional(
    Type.Union([Type.Literal('receivedAt'), Type.Literal('timestamp')], {
      description:
        'What times are compared with: when the server received the event (default), or the `timestamp` of its sender.',
    }),
  ),
  filter: Type.Optional(ReplayFilter),
  speed: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 1_000_000,
      description:
        'Of `inspect`: replays the events with the gaps between them as they were, divided by this factor: 1 is real time, 60 plays an hour in a minute. Default: as fast as possible.',
      expected: 'a number above 0: 1 is real time, 60 plays an hour in a minute',
    }),
  ),
};

/** What is sent to replay a part of the log. */
export const ReplayRequest = closed(request, { $id: 'ReplayRequest' });
export type ReplayRequest = Static<typeof ReplayRequest>;

export const ReplayStatus = Type.Union([
  Type.Literal('waiting'),
  Type.Literal('running'),
  Type.Literal('finished'),
  Type.Literal('failed'),
  Type.Literal('cancelled'),
]);
export type ReplayStatus = Static<typeof ReplayStatus>;

/** What a replay has counted. */
export const ReplayCounts = Type.Object({
  looked: count('Events of the range and of the types that were read.'),
  selected: count('Events that the filter selects.'),
  results: count('Events with a result.'),
});
export type ReplayCounts = Static<typeof ReplayCounts>;

/** A replay, and how far it is. */
export const ReplayAnswer = Type.Object(
  {
    id: Type.String({ examples: ['rpl_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
    mode: ReplayMode,
    request: Type.Unsafe<ReplayRequest>({ type: 'object', description: 'As it was sent.' }),
    upTo: Type.String({ description: 'Position of the newest event at the time of the request: it ends there.' }),
    status: ReplayStatus,
    position: Type.Optional(Type.String({ description: 'How far the log was read.' })),
    percent: Type.Number({ minimum: 0, maximum: 100 }),
    ...ReplayCounts.properties,
    total: Type.Optional(count('About how many events the range has.')),
    requestedBy: Type.String(),
    requestedAt: time,
    startedAt: Type.Optional(time),
    endedAt: Type.Optional(time),
    error: Type.Optional(
      Type.Object({ code: Type.String(), detail: Type.String() }, { description: 'Why it failed.' }),
    ),
  },
  { $id: 'ReplayAnswer' },
);
export type ReplayAnswer = Static<typeof ReplayAnswer>;

/** An event that followed from another one. */
const Effect = Type.Object({
  id: Type.String(),
  type: Type.String(),
  subject: Type.String(),
  receivedAt: time,
  causationId: Type.String({ description: 'The event that directly caused it.' }),
});
export type ReplayEffect = Static<typeof Effect>;

/** What a replay says about one event. */
export const ReplayResultAnswer = Type.Object(
  {
    position,
    event: Type.Optional(
      Type.Object({}, { description: 'As `GET /api/v1/events/:id` shows it. Absent where retention has removed it.' }),
    ),
    decisions: Type.Optional(
      Type.Array(EventDecisionAnswer, {
        description: 'What rules and workflows decided then.',
      }),
    ),
    effects: Type.Optional(
      Type.Object(
        { count: count('All of them.'), events: Type.Array(Effect), complete: Type.Boolean() },
        {
          description:
            'Events that followed from it, the first 100. `complete` is false if its story was too long to look through.',
        },
      ),
    ),
  },
  { $id: 'ReplayResultAnswer' },
);
export type ReplayResultAnswer = Static<typeof ReplayResultAnswer>;
