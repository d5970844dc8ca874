import { type Static, Type } from '@sinclair/typebox';

import { DURATION_PATTERN } from '#libs/kernel/src/time/durations.js';

import { changes, closed, defaulted, kept } from './fields.js';
import { NAMES } from './named-shapes.js';

/** Most actions of one rule. */
export const MAX_ACTIONS = 50;

const name = (description: string, maxLength: number, ...examples: readonly string[]) =>
  Type.String({
    description,
    minLength: 1,
    maxLength,
    // Anchored, so that it is looked at once.
    pattern: '^(?!\\s*$)[^\\u0000]*$',
    expected: `a text of 1 to ${maxLength} characters, not blank and without NUL`,
    ...(examples.length > 0 && { examples }),
  });

const pattern = (description: string, example: string) =>
  Type.String({
    description,
    minLength: 1,
    maxLength: 200,
    pattern: '^[\\w.*:/@-]+$',
    expected: 'at most 200 letters, digits and . * _ - : / @, such as git.push, pr.* or *',
    examples: [example],
  });

const duration = (description: string) =>
  Type.String({
    description,
    pattern: DURATION_PATTERN,
    expected: 'a duration from 1ms to 30d, such as 10m',
    examples: ['10m'],
  });

const key = Type.Optional(
  Type.String({
    description: 'A template: matches with the same value belong together. Without it all matches of the rule do.',
    examples: ['${{ data.payload.host }}'],
  }),
);

/** Said where their grammar is written out, too. */
export const CONDITIONS = {
  description:
    'A condition `{ field, operator, value }` or `{ expression }`, or a group `{ all | any | not }`. Without it every event of the type matches.',
  examples: [{ field: 'data.payload.severity', operator: 'equals', value: 'critical' }],
};
const ACTIONS = {
  maxItems: MAX_ACTIONS,
  description: 'What the rule requests when it matches, in order.',
  examples: [[{ type: 'create_issue', with: { title: '${{ data.payload.message }}', priority: 'high' } }]],
};

/** What a rule asks for when it matches. Which types there are, and what each takes, is known to those who carry it out. */
export const RuleAction = closed({
  type: Type.String({
    description: 'The type of the action.',
    expected: 'the type of an action, such as create_issue',
  }),
  with: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), { description: 'Strings in it may contain templates.' }),
  ),
});

export const RuleThrottle = closed(
  {
    key,
    limit: Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'Matches that act.' }),
    per: duration('The period, which begins with its first match.'),
  },
  {
    description: 'At most `limit` matches act in `per`, for each value of `key`.',
    examples: [{ key: '${{ data.payload.host }}', limit: 1, per: '10m' }],
  },
);

export const RuleOnce = closed(
  { key, quiet: duration('The burst ends after this time without a match.') },
  {
    description: 'Of matches with the same key that follow each other within `quiet`, only the first acts.',
    examples: [{ key: '${{ data.payload.host }}', quiet: '5m' }],
  },
);

export const RuleDebounce = closed(
  {
    key,
    quiet: duration('The burst ends after this time without a match.'),
    maxWait: Type.Optional(duration('The burst ends at most this long after its first match.')),
  },
  {
    description:
      'Of matches with the same key that follow each other within `quiet`, only the last acts: after `quiet`, or `maxWait` after the first. Not together with `once`.',
    examples: [{ key: '${{ data.repository.fullName }}', quiet: '5m', maxWait: '1h' }],
  },
);

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Day = (typeof DAYS)[number];

export const RuleWindow = closed(
  {
    days: Type.Optional(
      Type.Array(Type.Union(DAYS.map((day) => Type.Literal(day))), {
        minItems: 1,
        description: 'Default: every day.',
      }),
    ),
    from: Type.Optional(
      Type.String({
        pattern: '^([01]\\d|2[0-3]):[0-5]\\d$',
        expected: 'a time of day such as 09:00',
        default: '00:00',
      }),
    ),
    to: Type.Optional(
      Type.String({
        pattern: '^(([01]\\d|2[0-3]):[0-5]\\d|24:00)$',
        expected: 'a time of day such as 17:00',
        default: '24:00',
        description: 'If it is not after `from`, it is on the next day.',
      }),
    ),
    timezone: Type.Optional(Type.String({ default: 'UTC', examples: ['Europe/Berlin'] })),
  },
  {
    description: 'Days and hours at which the rule acts, by the time at which the event was recorded.',
    examples: [{ days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '09:00', to: '17:00', timezone: 'Europe/Berlin' }],
  },
);

/** Of rules, workflows and webhooks alike. */
export const allowRecursion = Type.Optional(
  Type.Boolean({
    default: false,
    description:
      "Also act on events that follow from the rule's own actions, up to 16 causes deep. By default these actions are refused.",
  }),
);

/** THE SHAPE OF A RULE: its fields as they are sent. The grammar of `conditions` and of each action is libs/rules'. */
export const ruleFields = {
  name: name('Shown in lists and decisions.', 200, 'critical alerts'),
  description: Type.Optional(name('Why the rule exists.', 2_000)),
  enabled: defaulted(Type.Boolean(), true),
  eventSource: defaulted(pattern('A source, a glob or `*`.', 'github'), '*'),
  eventType: {
    ...pattern(
      'An event type, a glob such as `pr.*`, or `*`. A glob with `*` in its first segment leaves out system types and `webhook.*`.',
      'git.push',
    ),
    [NAMES]: 'eventType',
  },
  conditions: Type.Optional(Type.Unknown(CONDITIONS)),
  actions: defaulted(Type.Array(RuleAction, ACTIONS), []),
  throttle: Type.Optional(RuleThrottle),
  once: Type.Optional(RuleOnce),
  debounce: Type.Optional(RuleDebounce),
  window: Type.Optional(RuleWindow),
  allowRecursion,
};

/** A rule as it is sent. */
export const RuleShape = closed(ruleFields);

const { enabled: _, ...definition } = ruleFields;

/** A rule as the log keeps it: as its author wrote it, checked. Whether it is enabled is not part of it. */
export const RuleDefinition = Type.Object({
  ...kept(definition),
  actions: Type.Array(Type.Required(RuleAction), ACTIONS),
});
export type RuleDefinition = Static<typeof RuleDefinition>;

/** What is sent to change parts of a rule. */
export const RuleChanges = closed(changes(ruleFields), { $id: 'RuleChanges' });

const RuleStatus = Type.Union([Type.Literal('enabled'), Type.Literal('disabled'), Type.Literal('archived')]);
const version = Type.Integer({ minimum: 1, description: 'Increases with each save that changes something.' });
const time = Type.String({ format: 'date-time' });

/** A rule as it is answered. */
export const RuleAnswer = Type.Object(
  {
    id: Type.String({ examples: ['rul_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
    ...RuleDefinition.properties,
    enabled: Type.Boolean(),
    status: RuleStatus,
    version,
    createdAt: time,
    updatedAt: time,
  },
  { $id: 'RuleAnswer' },
);
export type RuleAnswer = Static<typeof RuleAnswer>;

/** Something that is allowed and probably not meant. */
export const RuleWarning = Type.Object({
  pointer: Type.String({ description: 'JSON pointer into the rule.' }),
  code: Type.String(),
  message: Type.String(),
  column: Type.Optional(Type.Integer({ minimum: 1, description: 'Column in the string at the pointer.' })),
});
export type RuleWarning = Static<typeof RuleWarning>;

/** The answer to saving a rule. */
export const SavedRule = Type.Object(
  {
    ...RuleAnswer.properties,
    warnings: Type.Array(RuleWarning, { description: 'Allowed, but probably not intended.' }),
  },
  { $id: 'SavedRule' },
);
export type SavedRule = Static<typeof SavedRule>;

/** A rule as it was saved once. */
export const RuleVersionAnswer = Type.Object(
  {
    version,
    ...RuleDefinition.properties,
    savedBy: Type.String(),
    savedByName: Type.Union([Type.String(), Type.Null()], {
      description: 'Name of the token that saved it.',
    }),
    savedAt: time,
  },
  { $id: 'RuleVersion' },
);
export type RuleVersionAnswer = Static<typeof RuleVersionAnswer>;
