import { setImmediate } from 'node:timers/promises';

import { Inject, Injectable } from '@nestjs/common';

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
import { WorkQueue } from '#libs/persistence/src/work/work.js';

import { requestTypes } from '../actions/built-in.js';
import { isBeyondHops } from '../engine/judge.js';
import { RuleTable } from '../engine/rule.table.js';
import type { Verdicts } from '../engine/verdicts.js';
import { type BurstEnd, FlowControl, type Match } from '../flow/flow-control.adapter.js';
import { VerdictStretches } from './batched-verdicts.js';
import { appendsOf, recordAfterBurst, recordOf } from './decision-events.js';
import { RuleSets } from './record-rule-sets.js';

/** Most appends under way at a time: enough that group commit has something to group. */
const CONCURRENT_APPENDS = 64;
/** Longest turn at the processor, but for a single event, before everything else that waits gets one. */
const SLICE_MS = 5;

/** One event with at least one rule that names its source and type. */
interface Case {
  readonly event: RecordedEvent;
  readonly scope: PlatformEvent;
  readonly verdicts: Verdicts;
}

/**
 * Asks every rule in force about every event, and records the verdicts. Those on an event that a rule matched are
 * recorded with what its rules ask for, in one append to a stream named after the event: all or nothing, and once. Those
 * on all other events are recorded together, many events at a time.
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
    ...requestTypes,
  ] as const;
  readonly batchSize = 256;
  private readonly table = new RuleTable();
  readonly tables = [this.table];
  private readonly sets: RuleSets;
  private readonly stretches: VerdictStretches;
  private readonly flow: FlowControl;

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(WorkQueue) work: WorkQueue,
  ) {
    this.flow = new FlowControl(store, work);
    this.sets = new RuleSets(store);
    this.stretches = new VerdictStretches(store);
  }

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const cases: Case[] = [];
    const steps: (Match | BurstEnd)[] = [];
    let began = performance.now();
    for (const event of events) {
      // Nobody else changes the table meanwhile: the runner primes it between batches only.
      if (performance.now() - began > SLICE_MS) {
        await setImmediate();
        began = performance.now();
      }
      const found = this.caseOf(event);
      if (found) cases.push(found);
      for (const { rule, verdict } of found?.verdicts.decided ?? [])
        if (verdict.outcome === 'matched') steps.push({ event, rule, verdict });
      if (event.is('rule.burst_ended')) steps.push({ event, rule: this.table.find(event.data.ruleId) });
      // After it was asked about itself: a rule holds for every later event.
      if (event.type.startsWith('rule.')) this.table.apply(event);
    }
    if (cases.length + steps.length === 0) return;
    const { held, after } = await this.flow.pass(steps, context);
    const byOrg = groupBy(cases, ({ event }) => event.metadata.orgId);
    for (const [orgId, some] of byOrg)
      await this.sets.ensure(
        orgId,
        some.flatMap(({ verdicts }) => verdicts.sets),
        this.clock.now(),
      );
    crashPoint('rules.before-append');
    // Events are independent of each other, but the quiet ones of an organisation follow one another in their streams.
    const loud = cases.filter(({ verdicts }) => verdicts.hasMatch);
    const quiet = [...byOrg].map(([orgId, some]) => ({
      orgId,
      some: some.filter(({ verdicts }) => !verdicts.hasMatch),
    }));
    const work = [
      ...quiet
        .filter(({ some }) => some.length > 0)
        .map(
          ({ orgId, some }) =>
            () =>
              this.stretches.record(orgId, some, this.clock.now()),
        ),
      ...loud.map(({ event, scope, verdicts }) => () => {
        const events = recordOf(event, scope, verdicts, held, this.clock.now());
        return this.append(streams.decisions(event.id), events);
      }),
      ...after.map((one) => () => {
        const events = recordAfterBurst(one.event, platformEvent(one.event), one, this.clock.now());
        return this.append(streams.afterBurst(one.rule.id, one.event.id), events);
      }),
    ];
    await inParallel(work, CONCURRENT_APPENDS, (append) => append());
    crashPoint('rules.after-append');
  }

  private caseOf(event: RecordedEvent): Case | undefined {
    const verdicts = isBeyondHops(event) ? undefined : this.table.ask(event);
    return verdicts && { event, scope: platformEvent(event), verdicts };
  }

  private async append(stream: string, events: readonly EventToAppend[]): Promise<void> {
    let expected: bigint | 'no-stream' = 'no-stream';
    try {
      for (const some of appendsOf(events)) expected = (await this.store.append(stream, some, expected)).revision;
    } catch (error) {
      // Decided already, by rules as they were then: what was recorded stands.
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
