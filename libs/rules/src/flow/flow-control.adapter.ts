import { type EventStore, platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import type { WorkQueue } from '#libs/persistence/src/claims/work.js';

import type { CompiledRule } from '../engine/compiled-rule.js';
import { actionsProblem, evaluateRule, type RuleVerdict } from '../engine/evaluate-rule.js';
import type { Failure } from '../language/condition.js';
import {
  BURSTS,
  type KeptBurst,
  loadBursts,
  removeBursts,
  saveBursts,
  taskOf,
  type WaitingMatch,
} from './burst-rows.adapter.js';
import {
  type Burst,
  count,
  type Flow,
  type FlowState,
  keptKey,
  keysOf,
  throttled,
  type Window,
} from '#libs/flow/src/flow-policy.js';
import { heldByDisabling, outsideHours } from './held-back.js';
import { type KeptWindow, loadWindows, saveWindows, windowId } from './throttle-windows.adapter.js';

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

export interface Settled {
  /** Matches that may not act, and what holds them back. */
  readonly held: ReadonlyMap<RuleVerdict, Failure>;
  readonly after: readonly AfterBurst[];
}

/**
 * Decides which matches may act, by the policy. State is kept in the transaction of the checkpoint, so that an event that is
 * looked at again meets it as it was. Without a rule whose matches are counted nothing is read.
 */
export class FlowControl {
  constructor(
    private readonly store: EventStore,
    private readonly work: WorkQueue,
  ) {}

  /** @param steps in the order of the log. */
  async pass(steps: readonly (Match | BurstEnd)[], context: SubscriberContext): Promise<Settled> {
    const held = new Map<RuleVerdict, Failure>();
    const counted = steps.filter((step) => {
      if (!('verdict' in step)) return true;
      const { rule, verdict, event } = step;
      const closed = outsideHours(rule.compiled, event.created);
      if (closed) held.set(verdict, closed);
      return !closed && (verdict.burstKey !== undefined || verdict.throttleKey !== undefined);
    });
    if (counted.length === 0) return { held, after: [] };
    const tx = await context.transaction();
    const state = await BatchState.load(tx, counted);
    const after: AfterBurst[] = [];
    const end = async (ruleId: string, burst: Burst<WaitingMatch>, rule: CompiledRule | undefined): Promise<void> => {
      const event = await this.read(burst.last.position, steps);
      // Retention may have taken it since.
      if (event) after.push(await this.afterBurst(event, ruleId, burst, rule, state));
    };
    for (const step of counted) {
      if (!('verdict' in step)) {
        const burst = state.endBurst(step.event);
        if (burst) await end(burst.ruleId, burst, step.rule);
        continue;
      }
      const { rule, verdict } = step;
      const flow = state.count(step);
      if (flow.held) held.set(verdict, flow.held);
      if (flow.overtaken) await end(rule.id, flow.overtaken, rule);
    }
    await state.save(this.work, counted[0]!.event.created.getTime());
    return { held, after };
  }

  private async afterBurst(
    event: RecordedEvent,
    ruleId: string,
    { dueAt, last }: Burst<WaitingMatch>,
    rule: CompiledRule | undefined,
    state: BatchState,
  ): Promise<AfterBurst> {
    if (!rule) {
      const verdict: RuleVerdict = { outcome: 'matched' };
      const gone = { id: ruleId, name: last.ruleName, version: last.ruleVersion };
      return { event, rule: gone, verdict, held: heldByDisabling };
    }
    const verdict = evaluateRule(rule, platformEvent(event));
    const held = verdict.outcome === 'matched' ? await state.throttleLater({ event, rule, verdict }, dueAt) : undefined;
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
  private readonly changedBursts = new Map<string, { readonly burst: KeptBurst; readonly asOf: bigint }>();
  private readonly endedBursts = new Map<string, KeptBurst>();

  private constructor(
    private readonly tx: ViewTransaction,
    private readonly windows: Map<string, Window>,
    private readonly bursts: Map<string, KeptBurst>,
  ) {}

  static async load(tx: ViewTransaction, steps: readonly (Match | BurstEnd)[]): Promise<BatchState> {
    const windows: { ruleId: string; key: string }[] = [];
    const bursts: { ruleId: string; key: string }[] = [];
    for (const step of steps) {
      if (!('verdict' in step)) {
        bursts.push(step.event.data);
        continue;
      }
      const { id: ruleId, compiled } = step.rule;
      const keys = keysOf(compiled, step.verdict);
      windows.push(...keys.windows.map((key) => ({ ruleId, key })));
      bursts.push(...keys.bursts.map((key) => ({ ruleId, key })));
    }
    return new BatchState(tx, await loadWindows(tx, windows), await loadBursts(tx, bursts));
  }

  count({ rule, verdict, event }: Match): Flow<WaitingMatch> {
    let isUnfit: boolean | undefined;
    const fits = (): boolean => !(isUnfit ??= actionsProblem(rule.compiled, platformEvent(event)) !== undefined);
    const { orgId, name: ruleName, version: ruleVersion } = rule;
    const match = { orgId, ruleName, ruleVersion, eventId: eventIdOf(event.id), position: event.position };
    const asked = { ...verdict, time: event.created.getTime(), fits, match };
    return count(rule.compiled, asked, this.of(rule.id, event.position));
  }

  /** The burst that is over, unless it has continued since. */
  endBurst({ data, position }: RecordedEvent<'rule.burst_ended'>): KeptBurst | undefined {
    const id = windowId(data.ruleId, data.key);
    const burst = this.bursts.get(id);
    if (!burst) return undefined;
    if (burst.last.position !== BigInt(data.position)) {
      // Its task waits for what becomes of this event: it is due again.
      this.changedBursts.set(id, { burst, asOf: position });
      return undefined;
    }
    this.bursts.delete(id);
    this.changedBursts.delete(id);
    this.endedBursts.set(id, burst);
    return burst;
  }

  /** Why a match that has waited for the end of its burst may not act then. */
  async throttleLater({ rule, verdict, event }: Match, time: number): Promise<Failure | undefined> {
    const { throttleKey } = verdict;
    if (throttleKey === undefined) return undefined;
    const key = keptKey(throttleKey);
    const id = windowId(rule.id, key);
    const known = this.windows.get(id) ?? (await loadWindows(this.tx, [{ ruleId: rule.id, key }])).get(id);
    if (known) this.windows.set(id, known);
    const fits = (): boolean => actionsProblem(rule.compiled, platformEvent(event)) === undefined;
    return throttled(rule.compiled, { throttleKey, time, fits }, this.of(rule.id, event.position));
  }

  async save(work: WorkQueue, time: number): Promise<void> {
    if (this.changedWindows.size > 0) await saveWindows(this.tx, [...this.changedWindows.values()], time);
    const ended = [...this.endedBursts.values()];
    if (ended.length > 0) {
      await removeBursts(this.tx, ended);
      await work.remove(
        this.tx,
        BURSTS,
        ended.map(({ ruleId, key }) => windowId(ruleId, key)),
      );
    }
    const changed = [...this.changedBursts.values()];
    if (changed.length > 0) {
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

  /** What is counted of one rule, changed by the event at `asOf`. */
  private of(ruleId: string, asOf: bigint): FlowState<WaitingMatch> {
    return {
      window: (key) => this.windows.get(windowId(ruleId, key)),
      keepWindow: (key, window, endsAt) => {
        const id = windowId(ruleId, key);
        this.windows.set(id, window);
        this.changedWindows.set(id, { ruleId, key, ...window, endsAt });
      },
      burst: (key) => this.bursts.get(windowId(ruleId, key)),
      keepBurst: (key, burst) => {
        const id = windowId(ruleId, key);
        const kept = { ruleId, key, ...burst };
        this.bursts.set(id, kept);
        this.changedBursts.set(id, { burst: kept, asOf });
        this.endedBursts.delete(id);
      },
    };
  }
}
