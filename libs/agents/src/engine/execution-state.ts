import type { DataOf, EventType } from '#libs/events/src/catalogue.js';
import type { ExecutionStatus } from '#libs/events/src/shapes/agents/execution-shape.js';

import { type ModelWork, NO_WORK, worked } from './model-calls.js';

/** An event of an execution's stream. */
export interface Happened {
  readonly type: string;
  readonly data: unknown;
  /** RFC 3339 UTC. */
  readonly timestamp: string;
}

/** An event of an execution that is about to be recorded. */
export type ExecutionDraft = {
  [T in EventType]: { readonly type: T; readonly data: DataOf<T>; readonly id?: string };
}[EventType];

/**
 * An execution, folded from its stream: `requested` until a worker starts it, then `running`; `ended` is final. What
 * `running` is doing is said by its parts: a call of the agent that is under way (`isCalling`), the time of the next one
 * (`retryAt`), or a result that comes later (`accepted`).
 */
export type Execution =
  | { readonly kind: 'requested' }
  | Running
  | { readonly kind: 'ended'; readonly status: ExecutionStatus; readonly start?: DataOf<'agent.started'> };

export interface Running {
  readonly kind: 'running';
  readonly start: DataOf<'agent.started'>;
  readonly startedAt: Date;
  readonly deadline: Date | undefined;
  /** Calls of the agent so far. */
  readonly attempts: number;
  /** The last call has no answer: it is under way, or its process died. */
  readonly isCalling: boolean;
  readonly retryAt: Date | undefined;
  readonly accepted: DataOf<'agent.accepted'> | undefined;
  /** Failed tries of the call that is under way. */
  readonly failures: number;
  /** Of an execution that a model directs. */
  readonly work: ModelWork;
}

const REQUESTED: Execution = { kind: 'requested' };

/** Pure and total: what does not fit is passed over. */
export const foldExecution = (events: readonly Happened[]): Execution => events.reduce(evolve, REQUESTED);

export function evolve(state: Execution, { type, data, timestamp }: Happened): Execution {
  if (state.kind === 'ended') return state;
  const start = state.kind === 'running' ? { start: state.start } : {};
  switch (type) {
    case 'agent.finished':
      return { kind: 'ended', status: 'completed', ...start };
    case 'agent.failed':
      return { kind: 'ended', status: (data as DataOf<'agent.failed'>).status, ...start };
    case 'agent.cancelled':
      return { kind: 'ended', status: 'cancelled', ...start };
    case 'agent.started':
      return state.kind === 'requested' ? started(data as DataOf<'agent.started'>, timestamp) : state;
    default:
      return state.kind === 'running' ? progressed(state, type, data, timestamp) : state;
  }
}

const started = (start: DataOf<'agent.started'>, timestamp: string): Running => ({
  kind: 'running',
  start,
  startedAt: new Date(timestamp),
  deadline: start.deadline === undefined ? undefined : new Date(start.deadline),
  attempts: 0,
  isCalling: false,
  retryAt: undefined,
  accepted: undefined,
  failures: 0,
  work: NO_WORK,
});

function progressed(state: Running, type: string, data: unknown, timestamp: string): Running {
  switch (type) {
    case 'agent.attempt_started':
      return {
        ...state,
        attempts: (data as DataOf<'agent.attempt_started'>).attempt,
        isCalling: true,
        retryAt: undefined,
      };
    case 'agent.attempt_failed':
      return {
        ...state,
        isCalling: false,
        failures: state.failures + 1,
        retryAt: new Date((data as DataOf<'agent.attempt_failed'>).retryAt),
      };
    case 'agent.accepted':
      return { ...state, isCalling: false, accepted: data as DataOf<'agent.accepted'> };
    case 'agent.approval_decided':
      return {
        ...withWork(state, type, data, timestamp),
        deadline: extended(state.deadline, data as DataOf<'agent.approval_decided'>),
      };
    default:
      return withWork(state, type, data, timestamp);
  }
}

function withWork(state: Running, type: string, data: unknown, timestamp: string): Running {
  const work = worked(state.work, type, data, timestamp);
  return work === state.work ? state : { ...state, work, failures: 0, retryAt: undefined };
}

/** The time that a person took to decide does not count. */
const extended = (deadline: Date | undefined, { waitedMs }: DataOf<'agent.approval_decided'>): Date | undefined =>
  deadline && new Date(deadline.getTime() + waitedMs);
