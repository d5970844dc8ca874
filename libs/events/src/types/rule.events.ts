import { type Static, Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';
import { RuleDefinition } from '../shapes/rule-shape.js';
import { FailedCondition } from '../shapes/rule-trial-shape.js';

const ruleId = Type.String({ description: 'rul_…' });
const version = Type.Integer({ minimum: 1, description: 'counts the saves of a rule that changed something' });

/** What became of one action of a rule that matched. */
export const DecidedAction = Type.Object({
  type: Type.String(),
  /** Id of the event that asks for it; the outcome's cause. */
  requestId: Type.String(),
  /** Why it was not asked for: `follows-from-itself`, `correlation-exhausted`, `too-many-hops`, `too-large`. */
  refused: Type.Optional(Type.String()),
});

/** A rule's verdict on one event. */
export const Decision = Type.Object({
  ruleId,
  ruleName: Type.String(),
  ruleVersion: version,
  outcome: Type.Union([
    Type.Literal('matched'),
    Type.Literal('not_matched'),
    Type.Literal('throttled'),
    Type.Literal('errored'),
  ]),
  failed: Type.Optional(FailedCondition),
  /** In words, where the rule could not be evaluated or its actions not be filled in. */
  error: Type.Optional(Type.String()),
  actions: Type.Array(DecidedAction),
});
export type Decision = Static<typeof Decision>;

/**
 * Rules that did not match for one reason: the same condition, by its place in the rule, and the same value seen. What the
 * condition says and wants is read from the rule's version.
 */
export const FailureGroup = Type.Object({
  /** JSON pointer into each of the rules. */
  pointer: Type.String(),
  /** What the condition's field was; long values are cut to 200 characters of JSON. */
  actual: Type.Unknown(),
  /** Places among the sets that were asked: every rule of theirs that is named nowhere else. */
  sets: Type.Optional(Type.Array(Type.Integer({ minimum: 0 }))),
  /** Place of a set, and places of rules in it as `0-4,7`. */
  rules: Type.Optional(Type.Array(Type.Tuple([Type.Integer({ minimum: 0 }), Type.String()]))),
});

/** Names of `rule.set_formed`, whose rules were asked. */
const setNames = Type.Array(Type.String());

const exampleId = 'rul_01jq5x1d0wkz4s3v2n8m7b6c5a';
const definition = {
  name: 'pushes to main',
  eventSource: 'github',
  eventType: 'git.push',
  conditions: { field: 'data.branch', operator: 'equals', value: 'main' },
  actions: [{ type: 'send_webhook', with: { webhook: 'whk_01jq5x1d0wkz4s3v2n8m7b6c5a' } }],
};

/** The life of trigger rules, and what they decided. */
export const ruleEvents = {
  'rule.created': defineEvent({
    description: 'A rule was saved for the first time.',
    system: true,
    data: Type.Object({ ruleId, version, enabled: Type.Boolean(), definition: RuleDefinition }),
    example: { ruleId: exampleId, version: 1, enabled: true, definition },
  }),
  'rule.updated': defineEvent({
    description: 'A new version of a rule was saved. It applies to later events.',
    system: true,
    data: Type.Object({ ruleId, version, definition: RuleDefinition }),
    example: { ruleId: exampleId, version: 2, definition },
  }),
  'rule.enabled': defineEvent({
    description: 'A rule was enabled. It applies to later events.',
    system: true,
    data: Type.Object({ ruleId }),
    example: { ruleId: exampleId },
  }),
  'rule.disabled': defineEvent({
    description: 'A rule was disabled.',
    system: true,
    data: Type.Object({ ruleId }),
    example: { ruleId: exampleId },
  }),
  'rule.archived': defineEvent({
    description: 'A rule was archived; its decisions stay.',
    system: true,
    data: Type.Object({ ruleId }),
    example: { ruleId: exampleId },
  }),
  'rule.burst_ended': defineEvent({
    description: 'A burst of a rule with `debounce` ended: the rule now decides about the last match.',
    system: true,
    data: Type.Object({
      ruleId,
      /** What the matches of the burst have in common, filled in; a hash where it is long. */
      key: Type.String(),
      /** The last event that matched. */
      eventId: Type.String(),
      /** Its position in the log. */
      position: Type.String(),
    }),
    example: { ruleId: exampleId, key: 'acme/app', eventId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a', position: '4711' },
  }),
  'rule.set_formed': defineEvent({
    description: 'A set of rules got a name, by which verdicts refer to it.',
    system: true,
    data: Type.Object({
      /** Named by its rules: the same rules in the same order are the same set. */
      set: Type.String(),
      rules: Type.Array(Type.Tuple([ruleId, version])),
    }),
    example: { set: 'q3mJt0f2mXb8sKQ9c1dVZw', rules: [[exampleId, 1] as [string, number]] },
  }),
  'rule.none_matched': defineEvent({
    description: 'The verdicts on several events that led to no action.',
    system: true,
    data: Type.Object({
      asked: Type.Array(setNames),
      events: Type.Array(
        Type.Object({
          eventId: Type.String(),
          eventType: Type.String(),
          /** Place in `asked`. */
          asked: Type.Integer({ minimum: 0 }),
          failed: Type.Array(FailureGroup),
          /** Rules that could not be evaluated. */
          decisions: Type.Optional(Type.Array(Decision)),
        }),
      ),
    }),
    example: {
      asked: [['q3mJt0f2mXb8sKQ9c1dVZw']],
      events: [
        {
          eventId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a',
          eventType: 'git.push',
          asked: 0,
          failed: [{ pointer: '/conditions', actual: 'topic', sets: [0] }],
        },
      ],
    },
  }),
  'rule.evaluated': defineEvent({
    description: 'The verdicts of all rules whose source and type matched one event.',
    system: true,
    // Version 1 named every rule in `decisions`; since 2 those that did not match are in `asked` and `failed`.
    version: 2,
    data: Type.Object({
      /** The event that was looked at. */
      eventId: Type.String(),
      eventType: Type.String(),
      /** Rules that matched, were held back or could not be evaluated. */
      decisions: Type.Array(Decision),
      asked: Type.Optional(setNames),
      /** Rules of `asked` that did not match. */
      failed: Type.Optional(Type.Array(FailureGroup)),
      /** The verdict of a rule that waited for the end of a burst: it takes the place of the one recorded before. */
      afterBurst: Type.Optional(Type.Literal(true)),
    }),
    example: {
      eventId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a',
      eventType: 'git.push',
      decisions: [
        {
          ruleId: exampleId,
          ruleName: 'pushes to main',
          ruleVersion: 1,
          outcome: 'matched' as const,
          actions: [{ type: 'send_webhook', requestId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5b' }],
        },
      ],
      asked: ['q3mJt0f2mXb8sKQ9c1dVZw'],
      failed: [{ pointer: '/conditions', actual: 'main', sets: [0] }],
    },
  }),
} as const;
