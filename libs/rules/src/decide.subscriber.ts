import { Inject, Injectable } from '@nestjs/common';

import { EventStore, platformEvent, type RecordedEvent, WrongRevision } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { MAX_HOPS, type PlatformEvent } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';

import { heldBack } from './flow-control.adapter.js';
import { judge, type Verdict } from './judge.js';
import { appendsOf, type FinalVerdict, recordOf } from './record.js';
import { type KnownRule, RuleTable } from './rule-table.js';

/** Most appends under way at a time: enough that group commit has something to group. */
const CONCURRENT_APPENDS = 64;

/** One event with at least one rule that names its source and type. */
interface Case {
  readonly event: RecordedEvent;
  readonly scope: PlatformEvent;
  readonly verdicts: readonly { readonly rule: KnownRule; readonly verdict: Verdict }[];
}

/**
 * Asks every rule in force about every event, and records the verdicts together with what the rules ask for, in one
 * append to a stream named after the event: all or nothing, and once.
 */
@Injectable()
export class DecideRules implements Subscriber {
  readonly name = 'rules.decide';
  readonly reads = 'all' as const;
  readonly writes = [
    'rule.evaluated',
    'webhook.requested',
    'issue.requested',
    'workflow.requested',
    'agent.requested',
    'message.requested',
    'action.refused',
  ] as const;
  readonly batchSize = 256;
  private readonly table = new RuleTable();
  readonly tables = [this.table];

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const cases: Case[] = [];
    for (const event of events) {
      const found = this.caseOf(event);
      if (found) cases.push(found);
      // After it was asked about itself: a rule holds for every later event.
      if (event.type.startsWith('rule.')) this.table.apply(event);
    }
    if (cases.length === 0) return;
    const matches = cases.flatMap(({ event, scope, verdicts }) =>
      verdicts.flatMap(({ rule, verdict }) => (verdict.outcome === 'matched' ? [{ event, scope, rule, verdict }] : [])),
    );
    const throttled = await heldBack(matches, context);
    await inParallel(cases, CONCURRENT_APPENDS, (one) => this.record(one, throttled));
  }

  private caseOf(event: RecordedEvent): Case | undefined {
    if (!this.table.mayMatch(event.type)) return undefined;
    const { orgId, source, hop } = event.metadata;
    // The only events that follow from an event beyond the limit: rules about them would go on for ever.
    if (hop > MAX_HOPS && event.is('rule.evaluated', 'action.refused')) return undefined;
    const rules = this.table.rulesFor(orgId, event.type, source);
    if (rules.length === 0) return undefined;
    const scope = platformEvent(event);
    const verdicts = rules.map((rule) => ({
      rule,
      verdict:
        rule.broken === undefined
          ? judge(rule.compiled, scope)
          : ({ outcome: 'errored', error: rule.broken } satisfies Verdict),
    }));
    return { event, scope, verdicts };
  }

  private async record({ event, scope, verdicts }: Case, throttled: ReadonlySet<Verdict>): Promise<void> {
    const judged = verdicts.map(({ rule, verdict }) => ({ rule, verdict: final(verdict, throttled) }));
    const stream = streams.decisions(event.id);
    crashPoint('rules.before-append');
    let expected: bigint | 'no-stream' = 'no-stream';
    try {
      for (const events of appendsOf(recordOf(event, scope, judged, this.clock.now())))
        expected = (await this.store.append(stream, events, expected)).revision;
    } catch (error) {
      // Decided already, by rules as they were then: what was recorded stands.
      if (!(error instanceof WrongRevision)) throw error;
    }
    crashPoint('rules.after-append');
  }
}

function final(verdict: Verdict, throttled: ReadonlySet<Verdict>): FinalVerdict {
  if (verdict.outcome !== 'matched') return verdict;
  return { outcome: throttled.has(verdict) ? 'throttled' : 'matched' };
}
