import { type Author, type Decide, slice, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import type { RetentionAnswer } from '#libs/events/src/shapes/audit/retention-shape.js';
import { prefixesOf, streams } from '#libs/events/src/streams.js';
import { RETAINED, type Retained } from '#libs/events/src/types/retention.events.js';

/** Days that things of an organisation are kept; what is absent is kept without limit. */
export type Retention = Readonly<Partial<Record<Retained, number>>>;

export const retention = slice<Retention>()({
  name: 'retention',
  stream: streams.retention,
  initial: {},
  evolve: { 'retention.changed': (_, days) => days },
});

/** The same days again change nothing. */
export const changeRetention: Decide<Retention, 'retention.changed', ChangeRetention> = (state, { days }) =>
  RETAINED.every((kind) => state[kind] === days[kind]) ? [] : [{ type: 'retention.changed', data: days }];

export class ChangeRetention extends ThingCommand<Retention> {
  constructor(
    author: Author,
    readonly days: Retention,
  ) {
    super(author.orgId, author);
  }
}

export const answerOf = ({ payloads, decisions, attempts, runs }: Retention): RetentionAnswer => ({
  payloads: payloads ?? null,
  decisions: decisions ?? null,
  attempts: attempts ?? null,
  runs: runs ?? null,
});

/**
 * Which streams belong to what is kept for a number of days. A stream is removed as a whole, and only these: whatever describes a
 * rule, a workflow, an integration, a token or an issue stays.
 */
export const STREAMS: Readonly<Record<Retained, readonly string[]>> = {
  payloads: prefixesOf('inbound', 'published'),
  decisions: prefixesOf('decisions', 'verdicts', 'triggers', 'burst'),
  attempts: prefixesOf('delivery', 'message', 'tracked', 'action'),
  runs: prefixesOf('run', 'answer', 'approval', 'execution'),
};
