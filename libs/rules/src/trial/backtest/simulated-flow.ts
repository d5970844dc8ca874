import type { RuleVerdict } from '../../engine/evaluate-rule.js';
import { type Burst, count, type FlowState, throttled, type Window } from '#libs/flow/src/flow-policy.js';

import { outsideHours } from '../../flow/held-back.js';
import type { Failure } from '../../language/condition.js';
import type { CompiledDefinition } from '../../language/definition.js';
import { SimulatedWindows } from './simulated-windows.js';

type Matched = Extract<RuleVerdict, { outcome: 'matched' }>;

/** Told what holds a match back, if anything does. */
export type Settle = (held: Failure | undefined) => void;

interface Waiting {
  readonly verdict: Matched;
  readonly settle: Settle;
}

/**
 * What may act of a rule's matches over events of the past: the policy of the real decisions, with its state in memory. It
 * begins empty, whatever came before. A burst that goes on when the events end is over then.
 */
export class SimulatedFlow {
  private readonly windows: SimulatedWindows<Window>;
  private readonly bursts: SimulatedWindows<Burst<Waiting>>;

  constructor(
    private readonly rule: Pick<CompiledDefinition, 'window' | 'burst' | 'throttle'>,
    most?: number,
  ) {
    this.windows = new SimulatedWindows<Window>(undefined, most);
    this.bursts = new SimulatedWindows<Burst<Waiting>>((burst) => this.end(burst), most);
  }

  /** False once there were more keys than are remembered. */
  get isExact(): boolean {
    return this.windows.isExact && this.bursts.isExact;
  }

  /**
   * Settles a match, now or when its burst is over. Matches come in the order of the log.
   * @param fits whether its actions can be asked for: what cannot act is held back at most, and counts for nothing.
   */
  pass(verdict: Matched, created: Date, fits: boolean, settle: Settle): void {
    const closed = outsideHours(this.rule, created);
    if (closed) {
      settle(closed);
      return;
    }
    const time = created.getTime();
    const asked = { ...verdict, time, fits: () => fits, match: { verdict, settle } };
    const { held, waits, goesOn, overtaken } = count(this.rule, asked, this.state(time));
    goesOn?.last.settle(held);
    if (overtaken) this.end(overtaken);
    if (waits !== true) settle(held);
  }

  /** No event comes any more. */
  finish(): void {
    this.bursts.finish();
  }

  private end({ last: { verdict, settle }, dueAt }: Burst<Waiting>): void {
    settle(throttled(this.rule, { ...verdict, time: dueAt, fits: () => true }, this.state(dueAt)));
  }

  private state(time: number): FlowState<Waiting> {
    return {
      window: (key) => this.windows.get(key),
      keepWindow: (key, window, endsAt) => this.windows.put(key, window, endsAt, time),
      burst: (key) => this.bursts.get(key),
      keepBurst: (key, burst) => this.bursts.put(key, burst, burst.dueAt, time),
    };
  }
}
