import type { LogRange } from '#libs/event-index/src/scan/log-range.js';
import { scan } from '#libs/event-index/src/scan/scan-log.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import type { CompiledDefinition } from '../../language/definition.js';
import { Backtest, type BacktestReport } from './backtest.js';

/** How far a backtest is. */
export interface BacktestProgress {
  readonly scanned: number;
  /** About how many there are. */
  readonly total: number;
  /** 0 to 100. */
  readonly percent: number;
  /** Events a second, since the beginning. */
  readonly rate: number;
}

/** Backtests under way at a time in one process, and for one organisation. */
export const MAX_BACKTESTS = 4;
export const MAX_BACKTESTS_OF_ONE = 2;
const PROGRESS_MS = 250;

/** Lets a bounded number of backtests run. */
export class BacktestSlots {
  private readonly running = new Map<string, number>();

  /**
   * What gives the slot back.
   * @throws Rejected `backtest.busy` (429) if all are taken.
   */
  take(orgId: string): () => void {
    const own = this.running.get(orgId) ?? 0;
    const all = [...this.running.values()].reduce((sum, count) => sum + count, 0);
    if (own >= MAX_BACKTESTS_OF_ONE || all >= MAX_BACKTESTS)
      throw new Rejected(
        'rate_limited',
        'backtest.busy',
        own >= MAX_BACKTESTS_OF_ONE
          ? `${own} backtests of this organisation are already running: wait for one to end, or cancel one.`
          : `${all} backtests are already running: wait for one to end.`,
        { retryAfter: 5 },
      );
    this.running.set(orgId, own + 1);
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      const left = this.running.get(orgId)! - 1;
      if (left > 0) this.running.set(orgId, left);
      else this.running.delete(orgId);
    };
  }
}

export interface BacktestOrder {
  readonly range: LogRange;
  /** About how many events there are. */
  readonly total: number;
  readonly draft: CompiledDefinition;
  readonly other?: CompiledDefinition | undefined;
}

/** Runs a backtest from the beginning to its end or until `signal` aborts, telling how far it is a few times a second. */
export async function runBacktest(
  store: Pick<EventStore, 'readAll'>,
  { range, total, draft, other }: BacktestOrder,
  tell: (progress: BacktestProgress) => void,
  signal: AbortSignal,
  isPassedOver: (event: RecordedEvent) => boolean = () => false,
): Promise<BacktestReport & { readonly elapsedMs: number }> {
  const backtest = new Backtest(draft, other);
  const began = performance.now();
  let told = began;
  await scan(
    store,
    range,
    (event) => {
      if (!event.isReadable || isPassedOver(event)) return;
      backtest.look(event);
      const now = performance.now();
      if (now - told < PROGRESS_MS) return;
      told = now;
      tell(progressOf(backtest.seen, total, now - began));
    },
    signal,
  );
  backtest.finish();
  const elapsed = performance.now() - began;
  tell(progressOf(backtest.seen, backtest.seen, elapsed));
  return { ...backtest.report(), elapsedMs: Math.round(elapsed) };
}

const progressOf = (scanned: number, total: number, elapsed: number): BacktestProgress => ({
  scanned,
  total: Math.max(scanned, total),
  percent: total === 0 ? 100 : Math.min(100, Math.floor((scanned / total) * 1000) / 10),
  rate: Math.round(scanned / Math.max(0.001, elapsed / 1000)),
});
