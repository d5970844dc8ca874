import type { EventStore, EventToAppend, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { WrongRevision } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readAt, readWhole } from '#libs/event-store/src/reading.js';
import { causedBy } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { uuid5, uuid7 } from '#libs/kernel/src/ids.js';

import { type Execution, type ExecutionDraft, foldExecution } from '../engine/execution-state.js';

const MAX_TRIES = 20;

/** Where the log keeps the request for an execution. */
export interface RequestPlace {
  readonly stream: string;
  readonly revision: string;
}

export type Request = RecordedEvent<'agent.requested'>;

/** An execution as its stream says. */
export interface ReadExecution {
  readonly state: Execution;
  readonly events: readonly RecordedEvent[];
  /** What the next append expects. */
  readonly revision: bigint | 'no-stream';
  /** Of the last event; 0n if there is none. */
  readonly position: bigint;
}

export async function readExecution(store: EventStore, executionId: string): Promise<ReadExecution> {
  const events = await readWhole(store, streams.execution(executionId));
  const last = events.at(-1);
  const happened = events
    .filter((event) => event.isReadable)
    .map(({ type, data, metadata: { timestamp } }) => ({ type, data, timestamp }));
  return {
    state: foldExecution(happened),
    events,
    revision: last?.revision ?? 'no-stream',
    position: last?.position ?? 0n,
  };
}

/** @throws Error if the log does not have it any more. */
export async function requestAt(store: EventStore, { stream, revision }: RequestPlace): Promise<Request> {
  const event = await readAt(store, stream, revision);
  if (!event?.is('agent.requested')) throw new Error(`there is no request for an execution at ${revision}@${stream}`);
  return event;
}

/**
 * Events of an execution as the log takes them. The request is the cause of all of them, so that who asked finds the
 * outcome; the agent stands in the path of causes, so that what it leads to can be told.
 * @param owner two who write at the same time never take each other's events for their own.
 */
export function executionEvents(
  drafts: readonly ExecutionDraft[],
  request: Request,
  { executionId, agentId, actor }: { executionId: string; agentId: string | undefined; actor?: string },
  { now, owner, revision }: { now: Date; owner: string; revision: bigint | 'no-stream' },
): readonly EventToAppend[] {
  const subject = `execution/${executionId}`;
  const first = revision === 'no-stream' ? 0n : revision + 1n;
  return drafts.map((draft, index) =>
    newEvent(draft, {
      id: draft.id ?? uuid5('execution-event', executionId, owner, String(first + BigInt(index))),
      orgId: request.metadata.orgId,
      actor: actor ?? (agentId === undefined ? subject : `agent/${agentId}`),
      now,
      cause: causedBy(request, agentId),
      subject,
    }),
  );
}

/**
 * Appends what follows from an execution as it is, from outside of its worker: a result, a decision, a cancellation. A
 * worker that is busy with it finds the stream changed, and stops. Where somebody else was faster, it is decided again.
 */
export async function appendToExecution(
  store: EventStore,
  { executionId, request, actor }: { executionId: string; request: RequestPlace; actor?: string },
  now: () => Date,
  decide: (execution: ReadExecution, now: Date) => readonly ExecutionDraft[],
): Promise<ReadExecution> {
  const requested = await requestAt(store, request);
  for (let tries = 1; ; tries++) {
    const read = await readExecution(store, executionId);
    const at = now();
    const drafts = decide(read, at);
    if (drafts.length === 0) return read;
    const { state, revision } = read;
    const agentId = 'start' in state ? state.start?.agentId : undefined;
    const about = { executionId, agentId, ...(actor !== undefined && { actor }) };
    try {
      const events = executionEvents(drafts, requested, about, { now: at, owner: uuid7(), revision });
      const { position } = await store.append(streams.execution(executionId), events, revision);
      return { ...read, position };
    } catch (error) {
      if (!(error instanceof WrongRevision) || tries === MAX_TRIES) throw error;
    }
  }
}

/** What cancels an execution that has not ended. */
export const cancelled = ({ state }: ReadExecution, executionId: string, by: string): readonly ExecutionDraft[] =>
  state.kind === 'ended' ? [] : [{ type: 'agent.cancelled', data: { executionId, by } }];
