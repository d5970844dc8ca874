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

export const ReplayMode = Type.Union([Type.Literal('inspect'), Type.Literal('what_if'), Type.Literal('rerun')], {
  description:
    'inspect: lists the events with the decisions and effects that followed. what_if: what rules and workflows would decide and request today, and how that differs from what happened; nothing is done. rerun: chosen rules and workflows act again on the events (admins only).',
});
export type ReplayMode = Static<typeof ReplayMode>;

/** Rules and workflows that decide in place of those that are in force. */
export const ReplayWorld = closed({
  at: Type.Optional(bound('Rules and workflows as they were at this position or time. Default: as they are now.')),
  rules: Type.Optional(
    Type.Array(
      closed({
        ruleId: Type.Optional(Type.String({ description: 'An existing rule.' })),
        version: Type.Optional(Type.Integer({ minimum: 1, description: 'One of its versions.' })),
        draft: Type.Optional(
          Type.Object(
            {},
            { description: 'A rule as `POST /api/v1/rules` takes it; with `ruleId` instead of that rule.' },
          ),
        ),
      }),
      { maxItems: 100, description: 'These rules alone. If neither `rules` nor `workflows` is given, all of them.' },
    ),
  ),
  workflows: Type.Optional(
    Type.Array(
      closed({
        workflow: Type.Optional(Type.String({ description: 'Name of an existing workflow.' })),
        version: Type.Optional(Type.String({ description: 'One of its versions, by number or hash.' })),
        source: Type.Optional(Type.String({ description: 'A workflow as YAML.' })),
      }),
      { maxItems: 100, description: 'The triggers of these workflows alone.' },
    ),
  ),
});
export type ReplayWorld = Static<typeof ReplayWorld>;

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
  rate: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1000,
      description: 'Of `rerun`: events that are acted on a second. Default 10.',
      expected: 'from 1 to 1000',
    }),
  ),
  with: Type.Optional(
    Type.Unsafe<ReplayWorld>({
      ...ReplayWorld,
      description:
        'Which rules and workflows decide. Of `what_if`: default all of them, as they are now. Of `rerun`: the ids of rules and names of workflows that act, as they are now.',
    }),
  ),
};

/** What is sent to replay a part of the log. */
export const ReplayRequest = closed(
  {
    ...request,
    confirm: Type.Optional(
      Type.Integer({
        minimum: 0,
        description:
          'Of `rerun`, required: how many events are acted on. A request with another number is refused, and names it.',
        expected: 'the number of events that are acted on',
      }),
    ),
  },
  { $id: 'ReplayRequest' },
);
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
  differences: count('Of `what_if`: events about which something else is decided.'),
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

/** What a rule or workflow decides about an event, where it does not pass it over. */
const Decided = Type.Object({
  kind: Type.Union([Type.Literal('rule'), Type.Literal('workflow')]),
  by: Type.String({ description: 'Id of the rule or workflow.' }),
  name: Type.String(),
  version: Type.String(),
  outcome: Type.String({
    description: 'Of rules matched, throttled or errored; of workflows started, skipped or errored.',
  }),
  reason: Type.Optional(Type.String({ description: 'Why it does not act.' })),
  requests: Type.Array(
    Type.Object({
      type: Type.String({ description: 'The event that requests it.' }),
      data: Type.Object({}),
      refused: Type.Optional(Type.String({ description: 'Code of a refusal.' })),
    }),
  ),
});

/** How a decision of now differs from that of then. */
export const ReplayDifference = Type.Object({
  kind: Type.Union([Type.Literal('rule'), Type.Literal('workflow')]),
  by: Type.String(),
  name: Type.String(),
  difference: Type.Union(
    [
      Type.Literal('acts_now'),
      Type.Literal('acts_no_longer'),
      Type.Literal('other_outcome'),
      Type.Literal('other_actions'),
      Type.Literal('other_inputs'),
    ],
    {
      description:
        'acts_now: did not match then. acts_no_longer: matched then. other_outcome: another outcome, such as an error. other_actions: other kinds or another number of actions. other_inputs: the same actions with other values.',
    },
  ),
  inputs: Type.Optional(
    Type.Array(
      Type.Object({
        pointer: Type.String({ description: 'Into `requests`.' }),
        now: Type.Unknown(),
        then: Type.Unknown(),
      }),
      { description: 'The first 20 values that differ, cut to 200 characters.' },
    ),
  ),
});
export type ReplayDifference = Static<typeof ReplayDifference>;

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
    now: Type.Optional(
      Type.Array(Decided, { description: 'Of `what_if`: what would be decided. What matches nothing is left out.' }),
    ),
    then: Type.Optional(
      Type.Array(Decided, { description: 'Of `what_if`: what was decided by the same rules and workflows.' }),
    ),
    differences: Type.Optional(Type.Array(ReplayDifference)),
    rerun: Type.Optional(
      Type.Object(
        { id: Type.String(), decisions: Type.Array(Type.Object({})) },
        { description: 'Of `rerun`: the event with which its story begins. `effects` are those of this story.' },
      ),
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
