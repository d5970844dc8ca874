import { setImmediate } from 'node:timers/promises';

import { Inject, Injectable } from '@nestjs/common';

import {
  CORRELATION_EXHAUSTED,
  CorrelationBudget,
  exhaustedInWords,
} from '#libs/event-index/src/correlation-budget.js';
import {
  EventStore,
  type EventToAppend,
  platformEvent,
  type RecordedEvent,
  WrongRevision,
} from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { type PlatformEvent } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';
import { WorkQueue } from '#libs/persistence/src/claims/work.js';

import { requestTypes } from '../actions/built-in.js';
import {
  type ActionRefusal,
  isAboutVerdicts,
  isBeyondHops,
  refusalOf,
  type RuleVerdict,
} from '../engine/evaluate-rule.js';
import type { CompiledRule } from '../engine/compiled-rule.js';
import { RuleTable } from '../engine/rule.table.js';
import type { EventVerdicts } from '../engine/event-verdicts.js';
import { type BurstEnd, FlowControl, type Match } from '../flow/flow-control.adapter.js';
import { BatchedVerdicts } from './batched-verdicts.js';
import { appendsOf, lastRequestOf, recordAfterBurst, recordOf } from './decision-events.js';
import { RuleSets } from './record-rule-sets.js';

/** Most appends under way at a time: enough that group commit has something to group. */
const CONCURRENT_APPENDS = 64;
/** Longest time at the processor, but for a single event, before everything else that waits gets a turn. */
const SLICE_MS = 5;

/** An event that at least one rule names by source and type, and the verdicts on it. */
interface EvaluatedEvent {
  readonly event: RecordedEvent;
  readonly scope: PlatformEvent;
  readonly verdicts: EventVerdicts;
}

/**
 * Evaluates every enabled rule for every event, and records the verdicts. Those on an event that a rule matched are recorded
 * with the requests of its actions, in one append to a stream named after the event: all or nothing, and once. Those on all
 * other events are recorded together, many events at a time.
 */
@Injectable()
export class DecideRules implements Subscriber {
  readonly name = followers.decideRules;
  readonly reads = 'all' as const;
  readonly writes = [
    'rule.set_formed',
    'rule.evaluated',
    'rule.none_matched',
    'action.refused',
    'correlation.exhausted',
    ...requestTypes,
  ] as const;
  readonly batchSize = 256;
  private readonly table = new RuleTable();
  readonly tables = [this.table];
  private readonly sets: RuleSets;
  private readonly batches: BatchedVerdicts;
  private readonly flow: FlowControl;

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(WorkQueue) work: WorkQueue,
    @Inject(CorrelationBudget) private readonly budget: CorrelationBudget,
  ) {
    this.flow = new FlowControl(store, work);
    this.sets = new RuleSets(store);
    this.batches = new BatchedVerdicts(store);
  }

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    await this.budget.note(events, (type) => this.table.mayMatch(type));
    const evaluated: EvaluatedEvent[] = [];
    const refused = new Map<RuleVerdict, ActionRefusal>();
    const steps: (Match | BurstEnd)[] = [];
    let began = performance.now();
    for (const event of events) {
      // Nobody else changes the table meanwhile: the runner primes it between batches only.
      if (performance.now() - began > SLICE_MS) {
        await setImmediate();
        began = performance.now();
      }
      const found = this.evaluate(event);
      if (found) evaluated.push(found);
      for (const { rule, verdict } of found?.verdicts.decided ?? [])
        if (verdict.outcome === 'matched') {
          const refusal = this.refusalOf(rule, event);
          // What does not act does not use up a throttle, nor take the place of the last of a burst.
          if (refusal) refused.set(verdict, refusal);
          else steps.push({ event, rule, verdict });
        }
      if (event.is('rule.burst_ended')) steps.push({ event, rule: this.table.find(event.data.ruleId) });
      // After it was evaluated: a change of a rule applies to later events.
      if (event.type.startsWith('rule.')) this.table.apply(event);
    }
    if (evaluated.length + steps.length === 0) return;
    await this.budget.tell();
    const { held, after } = await this.flow.pass(steps, context);
    const byOrg = groupBy(evaluated, ({ event }) => event.metadata.orgId);
    for (const [orgId, some] of byOrg)
      await this.sets.ensure(
        orgId,
        some.flatMap(({ verdicts }) => verdicts.sets),
        this.clock.now(),
      );
    crashPoint('rules.before-append');
    // Events are independent of each other, but unmatched ones of an organisation follow one another in their streams.
    const isRecorded = ({ event, verdicts }: EvaluatedEvent): boolean => {
      const last = context.isKnown && lastRequestOf(event, verdicts, held);
      return last !== undefined && context.isKnown!(last);
    };
    const matched = evaluated.filter((one) => one.verdicts.hasMatch && !isRecorded(one));
    const unmatched = [...byOrg].map(([orgId, some]) => ({
      orgId,
      some: some.filter(({ verdicts }) => !verdicts.hasMatch),
    }));
    const work = [
      ...unmatched
        .filter(({ some }) => some.length > 0)
        .map(
          ({ orgId, some }) =>
            () =>
              this.batches.record(orgId, some, this.clock.now()),
        ),
      ...matched.map(({ event, scope, verdicts }) => () => {
        const events = recordOf(event, scope, verdicts, held, refused, this.clock.now());
        return this.append(streams.decisions(event.id), events);
      }),
      ...after.map((one) => () => {
        const refusal = 'compiled' in one.rule ? this.refusalOf(one.rule, one.event) : undefined;
        const events = recordAfterBurst(one.event, platformEvent(one.event), one, refusal, this.clock.now());
        return this.append(streams.afterBurst(one.rule.id, one.event.id), events);
      }),
    ];
    await inParallel(work, CONCURRENT_APPENDS, (append) => append());
    crashPoint('rules.after-append');
  }

  private refusalOf(rule: CompiledRule, event: RecordedEvent): ActionRefusal | undefined {
    const refusal = refusalOf(rule, event);
    if (!this.budget.isSpent(event)) return refusal;
    const { reason, detail } = refusal ?? {
      reason: CORRELATION_EXHAUSTED,
      detail: exhaustedInWords(this.budget.limit),
    };
    return { reason, detail, untold: true };
  }

  private evaluate(event: RecordedEvent): EvaluatedEvent | undefined {
    // Verdicts about verdicts are no actions, but there is one for each.
    const isTooMuch = isBeyondHops(event) || (isAboutVerdicts(event) && this.budget.isSpent(event));
    const verdicts = isTooMuch ? undefined : this.table.evaluate(event);
    return verdicts && { event, scope: platformEvent(event), verdicts };
  }

  private async append(stream: string, events: readonly EventToAppend[]): Promise<void> {
    let expected: bigint | 'no-stream' = 'no-stream';
    try {
      for (const some of appendsOf(events)) expected = (await this.store.append(stream, some, expected)).revision;
    } catch (error) {
      // Already decided, by rules as they were then: what is recorded stands.
      if (!(error instanceof WrongRevision)) throw error;
    }
  }
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}
