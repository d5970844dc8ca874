import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { DataOf } from '#libs/events/src/catalogue.js';

/**
 * A run that shares a limit with others: `queued` until it is its turn; `begun`; `cancelling` when it has begun and a newer
 * one takes its place. It keeps its turn until its end is in the log.
 */
export interface Turn {
  readonly runId: string;
  readonly state: 'queued' | 'begun' | 'cancelling';
  /** As its version says. The newest one counts. */
  readonly limit: number;
}

/** A run that will not have its turn, and why. */
export type Conflict =
  | {
      readonly runId: string;
      readonly kind: 'skip';
      readonly reason: 'running' | 'queue-full';
      readonly detail: string;
    }
  | { readonly runId: string; readonly kind: 'cancel'; readonly by: string };

export interface Given {
  /** Of one key, in the order in which the runs came. */
  readonly turns: readonly Turn[];
  /** Runs whose turn has come. */
  readonly begin: readonly string[];
  readonly conflicts: readonly Conflict[];
}

type Concurrency = NonNullable<DataOf<'workflow.started'>['concurrency']>;

/** A run that goes on, after a wait or since a person asks for it, is never skipped, and replaces no other. */
export const IN_ORDER = { onConflict: 'queue', maxQueued: 2 ** 31 - 1 } as const;

/** A run comes: for the first time, to be retried, or after a wait. */
export const isArrival = (
  event: RecordedEvent,
): event is RecordedEvent<'workflow.started'> | RecordedEvent<'run.retried'> | RecordedEvent<'run.woken'> =>
  event.is('workflow.started', 'run.retried', 'run.woken');

/** One more run comes. Pure, and in the order of the log: the same everywhere. */
export function arrive(turns: readonly Turn[], runId: string, { limit, onConflict, maxQueued }: Concurrency): Given {
  const all: readonly Turn[] = [...turns, { runId, state: 'queued', limit }];
  const waiting = turns.filter(({ state }) => state === 'queued').length;
  const isFull = turns.length >= limit;
  if (isFull && onConflict === 'skip') {
    const detail = `${turns.length} of at most ${limit} runs with this key are under way.`;
    return { turns, begin: [], conflicts: [{ runId, kind: 'skip', reason: 'running', detail }] };
  }
  if (isFull && onConflict === 'queue' && waiting >= maxQueued) {
    const detail = `${waiting} runs wait already; "maxQueued" is ${maxQueued}.`;
    return { turns, begin: [], conflicts: [{ runId, kind: 'skip', reason: 'queue-full', detail }] };
  }
  if (onConflict !== 'cancel_running') return { ...begun(all), conflicts: [] };
  // The oldest make room. One that has not begun leaves at once, one that has begun when its end is in the log.
  const surplus = all.filter(({ state }) => state !== 'cancelling').slice(0, -limit);
  const isSurplus = (turn: Turn): boolean => surplus.includes(turn);
  const left = all
    .filter((turn) => !(isSurplus(turn) && turn.state === 'queued'))
    .map((turn): Turn => (isSurplus(turn) ? { ...turn, state: 'cancelling' } : turn));
  const conflicts = surplus.map((turn): Conflict => ({ runId: turn.runId, kind: 'cancel', by: `run/${runId}` }));
  return { ...begun(left), conflicts };
}

/** A run has ended, or was cancelled while it waited. */
export const leave = (turns: readonly Turn[], runId: string): Given => ({
  ...begun(turns.filter((turn) => turn.runId !== runId)),
  conflicts: [],
});

/** The first in the queue begin, as long as there is room. */
function begun(turns: readonly Turn[]): { readonly turns: readonly Turn[]; readonly begin: readonly string[] } {
  let free = (turns.at(-1)?.limit ?? 0) - turns.filter(({ state }) => state !== 'queued').length;
  const begin: string[] = [];
  const after = turns.map((turn): Turn => {
    if (turn.state !== 'queued' || free <= 0) return turn;
    free -= 1;
    begin.push(turn.runId);
    return { ...turn, state: 'begun' };
  });
  return { turns: after, begin };
}
