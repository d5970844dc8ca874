import type { RuleVerdict } from '../../engine/evaluate-rule.js';
import { heldByBurst, heldByThrottle, heldByWindow } from '../../flow/flow-control.js';
import { keptKey } from '../../flow/throttle.js';
import type { Failure } from '../../language/condition.js';
import type { CompiledDefinition } from '../../language/definition.js';
import { type SimulatedWindow, SimulatedWindows } from './simulated-windows.js';

interface ThrottleWindow extends SimulatedWindow {
  used: number;
}

interface BurstWindow extends SimulatedWindow {
  readonly startedAt: number;
  /** The last match of a burst of which the last acts. */
  waiting?: Waiting;
}

interface Waiting {
  readonly verdict: Matched;
  readonly settle: Settle;
}

type Matched = Extract<RuleVerdict, { outcome: 'matched' }>;

/** Told what holds a match back, if anything does. */
export type Settle = (held: Failure | undefined) => void;

/**
 * What may act of a rule's matches over events of the past, in memory, as when deciding: by the time at which the log
 * took the event. It begins empty, whatever came before. A burst that goes on when the events end is over then.
 */
export class SimulatedFlow {
  private readonly throttles: SimulatedWindows<ThrottleWindow>;
  private readonly bursts: SimulatedWindows<BurstWindow>;

  constructor(
    private readonly rule: Pick<CompiledDefinition, 'window' | 'burst' | 'throttle'>,
    most?: number,
  ) {
    this.throttles = new SimulatedWindows<ThrottleWindow>(undefined, most);
    this.bursts = new SimulatedWindows<BurstWindow>(({ waiting, endsAt }) => {
      if (waiting) this.throttle(waiting.verdict, endsAt, true, waiting.settle);
    }, most);
  }

  /** False once there were more keys than are remembered. */
  get isExact(): boolean {
    return this.throttles.isExact && this.bursts.isExact;
  }

  /**
   * Settles a match, now or when its burst is over. Matches come in the order of the log.
   * @param fits whether its actions can be asked for: what cannot act is held back at most, and counts for nothing.
   */
  pass(verdict: Matched, created: Date, fits: boolean, settle: Settle): void {
    const { window, burst } = this.rule;
    const time = created.getTime();
    if (window && !window.isOpen(created)) settle(heldByWindow(window, created));
    else if (burst) this.inBurst(verdict, time, fits, settle);
    else this.throttle(verdict, time, fits, settle);
  }

  /** No event comes any more. */
  finish(): void {
    this.bursts.finish();
  }

  private inBurst(verdict: Matched, time: number, fits: boolean, settle: Settle): void {
    const burst = this.rule.burst!;
    const key = keptKey(verdict.burstKey!);
    const before = this.bursts.at(key, time);
    const startedAt = before?.startedAt ?? time;
    const endsAt = Math.min(time + burst.quietMs, startedAt + burst.maxWaitMs);
    const held = heldByBurst(burst, verdict.burstKey!);
    const waiting = burst.kind === 'debounce' ? { verdict, settle } : undefined;
    if (!fits && (waiting || !before)) settle(undefined);
    else if (before) {
      before.endsAt = endsAt;
      if (!waiting) settle(held);
      before.waiting?.settle(held);
      if (waiting) before.waiting = waiting;
    } else {
      this.bursts.begin({ key, startedAt, endsAt, ...(waiting && { waiting }) }, time);
      if (!waiting) this.throttle(verdict, time, true, settle);
    }
  }

  private throttle(verdict: Matched, time: number, fits: boolean, settle: Settle): void {
    const { throttle } = this.rule;
    if (!throttle || verdict.throttleKey === undefined) {
      settle(undefined);
      return;
    }
    const key = keptKey(verdict.throttleKey);
    const window = this.throttles.at(key, time);
    if (window && window.used >= throttle.limit) {
      settle(heldByThrottle(throttle, verdict.throttleKey));
      return;
    }
    if (fits && window) window.used++;
    else if (fits) this.throttles.begin({ key, endsAt: time + throttle.perMs, used: 1 }, time);
    settle(undefined);
  }
}
