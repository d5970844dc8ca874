import type { FailedCondition as Failure } from '#libs/events/src/shapes/rule-trial-shape.js';
import { indexKey } from '#libs/kernel/src/text/text.js';

import type { Batch, BurstControl, Throttle } from './controls.js';
import { heldByBatch, heldByBurst, heldByThrottle } from './held-back.js';

/**
 * Which matches of a rule, or of a trigger of a workflow, may act: `once` or `debounce`, then `throttle`; or `batch`. What one
 * control holds back does not count for the next. Time is that at which the log took the event, in milliseconds since 1970, so
 * that the same events get the same answers when they are looked at again. The caller keeps the state: in rows, or in memory.
 */

/** How much of a throttle's limit is used, or that a burst goes on of which the first match acts. */
export interface Window {
  readonly startedAt: number;
  readonly used: number;
}

/** Matches that follow each other, of which the last acts. */
export interface Burst<Match> {
  readonly startedAt: number;
  readonly dueAt: number;
  /** What waits for its end. */
  readonly last: Match;
}

/** What is counted of one rule, by key. What is over may be given or not. */
export interface FlowState<Match> {
  window(key: string): Window | undefined;
  /** @param endsAt after that time nobody asks for it. */
  keepWindow(key: string, window: Window, endsAt: number): void;
  burst(key: string): Burst<Match> | undefined;
  keepBurst(key: string, burst: Burst<Match>): void;
}

/** The same, where a burst can be over before its time. */
export interface BatchState<Match> extends Pick<FlowState<readonly Match[]>, 'burst' | 'keepBurst'> {
  endBurst(key: string): void;
}

type Windows = Pick<FlowState<unknown>, 'window' | 'keepWindow'>;

/** A match before it is known whether it may act. */
export interface Asked<Match> {
  /** Filled in, where the rule has them. */
  readonly burstKey?: string;
  readonly throttleKey?: string;
  readonly time: number;
  /** Whether its actions can be filled in: one that cannot act is held back at most, and counts for nothing. */
  readonly fits: () => boolean;
  readonly match: Match;
}

/** What becomes of a match. */
export interface Flow<Match> {
  /** Why it may not act. */
  readonly held?: Failure | undefined;
  /** It is the last of its burst so far: held back until that is over. */
  readonly waits?: true;
  /** The burst that it goes on with, as it was before: its match does not wait any more. */
  readonly goesOn?: Burst<Match>;
  /** The burst of its key that was over before it came, which nothing has said yet. */
  readonly overtaken?: Burst<Match>;
}

interface Controls {
  readonly burst: BurstControl | undefined;
  readonly throttle: Throttle | undefined;
}

/** Whether a match it may act, now or at the end of its burst. */
export function count<Match>(rule: Controls, asked: Asked<Match>, state: FlowState<Match>): Flow<Match> {
  const { burst } = rule;
  if (burst?.kind === 'debounce') return wait(burst, asked, state);
  if (burst && !isFirst(burst, asked, state)) return { held: heldByBurst(burst, asked.burstKey!) };
  return { held: throttled(rule, asked, state) };
}

/** A match that may act as far as bursts go: also the last of a burst, at the time at which that was over. */
export function throttled(
  { throttle }: Controls,
  { throttleKey, time, fits }: Omit<Asked<unknown>, 'match'>,
  state: Windows,
): Failure | undefined {
  if (!throttle || throttleKey === undefined) return undefined;
  const key = keptKey(throttleKey);
  const { startedAt, used } = windowAt(throttle, state.window(key), time);
  if (used >= throttle.limit) return heldByThrottle(throttle, throttleKey);
  if (fits()) state.keepWindow(key, { startedAt, used: used + 1 }, startedAt + throttle.perMs);
  return undefined;
}

/** A window begins with the first match after the one before has ended. */
function windowAt({ perMs }: Throttle, known: Window | undefined, time: number): Window {
  return known === undefined || time >= known.startedAt + perMs ? { startedAt: time, used: 0 } : known;
}

/** Each match makes a burst longer, those that are held back too. */
function isFirst({ quietMs }: BurstControl, { burstKey, time, fits }: Asked<unknown>, state: Windows): boolean {
  const key = onceKey(burstKey!);
  const known = state.window(key);
  const first = known === undefined || time >= known.startedAt + quietMs;
  const startedAt = Math.max(time, known?.startedAt ?? time);
  if (!first || fits()) state.keepWindow(key, { startedAt, used: 1 }, startedAt + quietMs);
  return first;
}

function wait<Match>(
  burst: BurstControl,
  { burstKey, time, fits, match }: Asked<Match>,
  state: FlowState<Match>,
): Flow<Match> {
  if (!fits()) return {};
  const key = keptKey(burstKey!);
  const before = state.burst(key);
  const goesOn = before !== undefined && time < before.dueAt;
  const startedAt = goesOn ? before.startedAt : time;
  const dueAt = Math.min(time + burst.quietMs, startedAt + burst.maxWaitMs);
  state.keepBurst(key, { startedAt, dueAt, last: match });
  const held = heldByBurst(burst, burstKey!);
  return { held, waits: true, ...(before && (goesOn ? { goesOn: before } : { overtaken: before })) };
}

/** A match joins the batch of its key. With `full` it completes it; else it is held back until the batch is over. */
export function collect<Match>(
  batch: Batch,
  { burstKey, time, match }: Pick<Asked<Match>, 'burstKey' | 'time' | 'match'>,
  state: BatchState<Match>,
): { readonly full?: readonly Match[]; readonly held?: Failure; readonly overtaken?: Burst<readonly Match[]> } {
  const key = keptKey(burstKey!);
  const before = state.burst(key);
  const goesOn = before !== undefined && time < before.dueAt;
  const overtaken = before && !goesOn ? { overtaken: before } : {};
  const all = goesOn ? [...before.last, match] : [match];
  if (all.length >= batch.size) {
    state.endBurst(key);
    return { full: all, ...overtaken };
  }
  const startedAt = goesOn ? before.startedAt : time;
  state.keepBurst(key, { startedAt, dueAt: startedAt + batch.timeoutMs, last: all });
  return { held: heldByBatch(batch, burstKey!, all.length), ...overtaken };
}

/** The keys by which `count` asks for windows and for bursts. */
export function keysOf(
  { burst }: Controls,
  { burstKey, throttleKey }: Pick<Asked<unknown>, 'burstKey' | 'throttleKey'>,
): { readonly windows: readonly string[]; readonly bursts: readonly string[] } {
  if (burst?.kind === 'debounce') return { windows: [], bursts: [keptKey(burstKey!)] };
  return {
    windows: [
      ...(burst === undefined ? [] : [onceKey(burstKey!)]),
      ...(throttleKey === undefined ? [] : [keptKey(throttleKey)]),
    ],
    bursts: [],
  };
}

/** A key as it is kept. */
export const keptKey = (key: string): string => indexKey('throttle', key);
/** No key of a throttle begins so by accident: a rule may have both. */
const onceKey = (key: string): string => `\u0001once ${keptKey(key)}`;
