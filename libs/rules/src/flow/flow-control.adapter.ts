import type { EntityManager } from 'typeorm';

import { type EventStore, platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import type { WorkQueue } from '#libs/persistence/src/work/work.js';

import type { CompiledRule } from '../engine/compiled-rule.js';
import { type RuleVerdict, evaluateRule, actionsProblem } from '../engine/evaluate-rule.js';
import type { Failure } from '../language/condition.js';
import type { CompiledBurst, CompiledThrottle } from '../language/definition.js';
import { type Burst, BURSTS, loadBursts, removeBursts, saveBursts, taskOf } from './burst-rows.adapter.js';
import { heldByDisabling, heldByBurst, heldByThrottle, heldByWindow } from './flow-control.js';
import { type KeptWindow, loadWindows, saveWindows } from './throttle-windows.adapter.js';
import { keptKey, takeFirst, takeWithin, type ThrottleWindow, windowId } from './throttle.js';

/** A rule that matched an event, before it is known whether it may act. */
export interface Match {
  readonly event: RecordedEvent;
  readonly rule: CompiledRule;
  readonly verdict: Extract<RuleVerdict, { outcome: 'matched' }>;
}

/** The log says that a burst is over; the rule as it is then, if it is in force. */
export interface BurstEnd {
  readonly event: RecordedEvent<'rule.burst_ended'>;
  readonly rule: CompiledRule | undefined;
}

/** A rule that waited for the end of a burst, and what it makes of its last event now. */
export interface AfterBurst {
  readonly event: RecordedEvent;
  /** As it is now; else what it was when it began to wait. */
  readonly rule: CompiledRule | Pick<CompiledRule, 'id' | 'name' | 'version'>;
  readonly verdict: RuleVerdict;
  readonly held: Failure | undefined;
}

export interface Flow {
  /** Matches that may not act, and what holds them back. */
  readonly held: ReadonlyMap<RuleVerdict, Failure>;
  readonly after: readonly AfterBurst[];
}

/**
 * Decides which matches may act. State is kept in the transaction of the checkpoint, so that an event that is looked at
 * again meets it as it was; time is that at which the log took the event, so that the answer is the same. Without a rule
 * whose matches are counted nothing is read. What one control holds back does not count for the next: hours, then `once`
 * or `debounce`, then `throttle`.
 */
export class FlowControl {
  constructor(
    private readonly store: EventStore,
    private readonly work: WorkQueue,
  ) {}

  /** @param steps in the order of the log. */
  async pass(steps: readonly (Match | BurstEnd)[], context: SubscriberContext): Promise<Flow> {
    const held = new Map<RuleVerdict, Failure>();
    const counted = steps.filter((step) => {
      if (!('verdict' in step)) return true;
      const { rule, verdict, event } = step;
      const { window } = rule.compiled;
      if (window && !window.isOpen(event.created)) held.set(verdict, heldByWindow(window, event.created));
      else return verdict.burstKey !== undefined || verdict.throttleKey !== undefined;
      return false;
    });
    if (counted.length === 0) return { held, after: [] };
    const tx = await context.transaction();
    const state = await BatchState.load(tx, counted);
    const after: AfterBurst[] = [];
    const end = async (burst: Burst, rule: CompiledRule | undefined): Promise<void> => {
      const event = await this.read(burst.position, steps);
      // Retention may have taken it since.
      if (event) after.push(await this.afterBurst(event, burst, rule, state));
    };
    for (const step of counted) {
      if (!('verdict' in step)) {
        const burst = state.endBurst(step.event);
        if (burst) await end(burst, step.rule);
        continue;
      }
      const { rule, verdict, event } = step;
      const failed = state.holdBack(rule, verdict, event);
      if (failed) held.set(verdict, failed);
      for (const burst of state.takeOver()) await end(burst, rule);
    }
    await state.save(this.work, counted[0]!.event.created.getTime());
    return { held, after };
  }

  private async afterBurst(
    event: RecordedEvent,
    burst: Burst,
    rule: CompiledRule | undefined,
    state: BatchState,
  ): Promise<AfterBurst> {
    if (!rule) {
      const { ruleId: id, ruleName: name, ruleVersion: version } = burst;
      const verdict: RuleVerdict = { outcome: 'matched' };
      return { event, rule: { id, name, version }, verdict, held: heldByDisabling };
    }
    const verdict = evaluateRule(rule, platformEvent(event));
    const fits = (): boolean => actionsProblem(rule.compiled, platformEvent(event)) === undefined;
    const held =
      verdict.outcome === 'matched' && verdict.throttleKey !== undefined
        ? await state.throttleLater(rule, verdict.throttleKey, burst.dueAt, fits)
        : undefined;
    return { event, rule, verdict, held };
  }

  private async read(position: bigint, steps: readonly (Match | BurstEnd)[]): Promise<RecordedEvent | undefined> {
    const near = steps.find(({ event }) => event.position === position);
    if (near) return near.event;
    const { events } = await this.store.readAll({ from: position, limit: 1 });
    return events.find((event) => event.position === position);
  }
}

/** Windows and bursts of the keys of a batch: loaded once, changed in memory, written once. */
class BatchState {
  private readonly changedWindows = new Map<string, KeptWindow>();
  /** With the position of the event that changed them. */
  private readonly changedBursts = new Map<string, { readonly burst: Burst; readonly asOf: bigint }>();
  private readonly endedBursts = new Map<string, Burst>();
  private readonly overtaken: Burst[] = [];

  private constructor(
    private readonly tx: EntityManager,
    private readonly windows: Map<string, ThrottleWindow>,
    private readonly bursts: Map<string, Burst>,
  ) {}

  static async load(tx: EntityManager, steps: readonly (Match | BurstEnd)[]): Promise<BatchState> {
    const windows: { ruleId: string; key: string }[] = [];
    const bursts: { ruleId: string; key: string }[] = [];
    for (const step of steps) {
      if (!('verdict' in step)) {
        bursts.push(step.event.data);
        continue;
      }
      const { rule, verdict } = step;
      const { burst } = rule.compiled;
      if (burst?.kind === 'once') windows.push({ ruleId: rule.id, key: onceKey(verdict.burstKey!) });
      if (burst?.kind === 'debounce') bursts.push({ ruleId: rule.id, key: keptKey(verdict.burstKey!) });
      else if (verdict.throttleKey !== undefined) windows.push({ ruleId: rule.id, key: keptKey(verdict.throttleKey) });
    }
    return new BatchState(tx, await loadWindows(tx, windows), await loadBursts(tx, bursts));
  }

  /** Why a match may not act, or `undefined`. One whose actions cannot be filled in is not held back, and counts for nothing. */
  holdBack(rule: CompiledRule, { burstKey, throttleKey }: Match['verdict'], event: RecordedEvent): Failure | undefined {
    const { burst, throttle } = rule.compiled;
    const time = event.created.getTime();
    let isUnfit: boolean | undefined;
    const fits = (): boolean => !(isUnfit ??= actionsProblem(rule.compiled, platformEvent(event)) !== undefined);
    if (burst?.kind === 'debounce') {
      if (!fits()) return undefined;
      this.wait(rule, burst, keptKey(burstKey!), event);
      return heldByBurst(burst, burstKey!);
    }
    if (burst && !this.isFirst(rule, burst, burstKey!, time, fits)) return heldByBurst(burst, burstKey!);
    return throttle && this.throttled(rule, throttle, throttleKey!, time, fits);
  }

  /** Bursts that had ended when the last match came, before anything said so. */
  takeOver(): readonly Burst[] {
    return this.overtaken.splice(0);
  }

  /** The burst that is over, unless it has gone on since. */
  endBurst({ data, position }: RecordedEvent<'rule.burst_ended'>): Burst | undefined {
    const id = windowId(data.ruleId, data.key);
    const burst = this.bursts.get(id);
    if (!burst) return undefined;
    if (burst.position !== BigInt(data.position)) {
      // Its task waits for what becomes of this event: it is due anew.
      this.changedBursts.set(id, { burst, asOf: position });
      return undefined;
    }
    this.bursts.delete(id);
    this.changedBursts.delete(id);
    this.endedBursts.set(id, burst);
    return burst;
  }

  /** A match of long ago that may act now, unless there are too many of them. */
  async throttleLater(
    rule: CompiledRule,
    throttleKey: string,
    time: number,
    fits: () => boolean,
  ): Promise<Failure | undefined> {
    const { throttle } = rule.compiled;
    const key = keptKey(throttleKey);
    const id = windowId(rule.id, key);
    const known = this.windows.get(id) ?? (await loadWindows(this.tx, [{ ruleId: rule.id, key }])).get(id);
    if (known) this.windows.set(id, known);
    return throttle && this.throttled(rule, throttle, throttleKey, time, fits);
  }

  async save(work: WorkQueue, time: number): Promise<void> {
    if (this.changedWindows.size > 0) await saveWindows(this.tx, [...this.changedWindows.values()], time);
    if (this.endedBursts.size > 0) {
      const ended = [...this.endedBursts.values()];
      await removeBursts(this.tx, ended);
      await work.remove(
        this.tx,
        BURSTS,
        ended.map(({ ruleId, key }) => windowId(ruleId, key)),
      );
    }
    if (this.changedBursts.size > 0) {
      const changed = [...this.changedBursts.values()];
      await saveBursts(
        this.tx,
        changed.map(({ burst }) => burst),
      );
      await work.schedule(
        this.tx,
        changed.map(({ burst, asOf }) => taskOf(burst, asOf)),
      );
    }
  }

  private wait(rule: CompiledRule, burst: CompiledBurst, key: string, event: RecordedEvent): void {
    const time = event.created.getTime();
    const id = windowId(rule.id, key);
    const before = this.bursts.get(id);
    const goesOn = before !== undefined && time < before.dueAt;
    if (before && !goesOn) this.overtaken.push(before);
    const startedAt = goesOn ? before.startedAt : time;
    const now: Burst = {
      ruleId: rule.id,
      key,
      orgId: rule.orgId,
      ruleName: rule.name,
      ruleVersion: rule.version,
      eventId: eventIdOf(event.id),
      position: event.position,
      startedAt,
      dueAt: Math.min(time + burst.quietMs, startedAt + burst.maxWaitMs),
    };
    this.bursts.set(id, now);
    this.changedBursts.set(id, { burst: now, asOf: event.position });
    this.endedBursts.delete(id);
  }

  private isFirst(rule: CompiledRule, burst: CompiledBurst, given: string, time: number, fits: () => boolean): boolean {
    const key = onceKey(given);
    const { allowed, window } = takeFirst(this.windows.get(windowId(rule.id, key)), burst, rule.id, key, time);
    if (!allowed || fits()) this.keep(window, window.startedAt + burst.quietMs);
    return allowed;
  }

  private throttled(
    rule: CompiledRule,
    throttle: CompiledThrottle,
    given: string,
    time: number,
    fits: () => boolean,
  ): Failure | undefined {
    const key = keptKey(given);
    const { allowed, window } = takeWithin(this.windows.get(windowId(rule.id, key)), throttle, rule.id, key, time);
    if (allowed && fits()) this.keep(window, window.startedAt + throttle.perMs);
    return allowed ? undefined : heldByThrottle(throttle, given);
  }

  private keep(window: ThrottleWindow, endsAt: number): void {
    const id = windowId(window.ruleId, window.key);
    this.windows.set(id, window);
    this.changedWindows.set(id, { ...window, endsAt });
  }
}

/** No key of a throttle begins so by accident: a rule may have both. */
const onceKey = (key: string): string => `\u0001once ${keptKey(key)}`;
