import { inGrace } from '#libs/access/src/secrets/secret-rotation.js';
import type { Secrets } from '#libs/access/src/secrets/secrets.js';
import {
  type EventStore,
  platformEvent,
  type RecordedEvent,
  WrongRevision,
} from '#libs/event-store/src/event-store.js';
import { readAt, readLast, readWhole } from '#libs/event-store/src/reading.js';
import { retryWhileAway } from '#libs/event-store/src/retry-while-away.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import type { PlatformEvent } from '#libs/events/src/envelope.js';
import { SUBJECT_ERASED } from '#libs/events/src/personal/field-path.js';
import { streams } from '#libs/events/src/streams.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { timeAfter } from '#libs/kernel/src/time/times.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';

import { timedOut } from '../engine/end-drafts.js';
import { evolve, type Execution, type ExecutionDraft, type Running } from '../engine/execution-state.js';
import { openApproval } from '../engine/model-calls.js';
import { runtimes } from '../runtimes/registry.js';
import type { Move, World } from '../runtimes/runtime.js';
import { executionEvents, readExecution, type Request, requestAt, type RequestPlace } from './execution-stream.js';
import { executionOf } from './requested.js';
import type { StoppedExecutions } from './stopped-executions.js';

/** The queue of executions that have something to do; the key is the execution's id. */
export const EXECUTIONS = 'agents.execute';

export interface ExecutionTask {
  readonly agentId: string;
  readonly request: RequestPlace;
}

export interface RunExecutionParts {
  readonly store: EventStore;
  readonly world: World;
  readonly stopped: StoppedExecutions;
  readonly secrets: Secrets;
}

/**
 * Takes executions that are due as far as they go: reads the stream, decides, records the intent, acts, records the
 * outcome, and so on. Every append expects the revision just read, so of two processes that run one only one gets on.
 */
export class RunExecution implements Worker<ExecutionTask> {
  readonly queue = EXECUTIONS;
  readonly concurrency = 128;
  readonly perGroup = 32;
  readonly writes = [
    'agent.started',
    'agent.attempt_started',
    'agent.attempt_failed',
    'agent.accepted',
    'agent.tools_requested',
    'agent.tools_listed',
    'agent.model_called',
    'agent.model_answered',
    'agent.tool_called',
    'agent.tool_answered',
    'agent.tool_unknown',
    'agent.approval_requested',
    'agent.finished',
    'agent.failed',
    'agent.cancelled',
    'workflow.requested',
    'issue.requested',
    'message.requested',
  ] as const;

  constructor(private readonly parts: RunExecutionParts) {}

  async run({ key: executionId, payload }: ClaimedWork<ExecutionTask>, signal: AbortSignal): Promise<WorkDone> {
    const { store, stopped } = this.parts;
    const ended = stopped.watch(executionId);
    try {
      const both = AbortSignal.any([signal, ended]);
      const active = await ActiveExecution.read(this.parts, executionId, payload, both, () => ended.aborted);
      return { position: await active.untilIdle() };
    } catch (error) {
      // Somebody else has appended: a cancellation, a result, or a process that took over. What we know is outdated.
      const isOver = error instanceof WrongRevision || (ended.aborted && !signal.aborted);
      if (!isOver) throw error;
      const newest = await readLast(store, streams.execution(executionId));
      return { position: newest?.position ?? 0n };
    } finally {
      stopped.unwatch(executionId);
    }
  }
}

/** An execution that this process is busy with. */
class ActiveExecution {
  /** Part of the ids of what is appended: two owners never take each other's events for their own. */
  private readonly owner = uuid7();

  private constructor(
    private readonly parts: RunExecutionParts,
    private readonly executionId: string,
    private readonly request: Request,
    private readonly agentEvents: readonly RecordedEvent[],
    private readonly cause: RecordedEvent | undefined,
    private state: Execution,
    private revision: bigint | 'no-stream',
    private position: bigint,
    private readonly signal: AbortSignal,
    private readonly hasEnded: () => boolean,
  ) {}

  static async read(
    parts: RunExecutionParts,
    executionId: string,
    { agentId, request: place }: ExecutionTask,
    signal: AbortSignal,
    hasEnded: () => boolean,
  ): Promise<ActiveExecution> {
    const { store } = parts;
    const [request, agent, { state, revision, position }] = await Promise.all([
      requestAt(store, place),
      readWhole(store, streams.agent(agentId)),
      readExecution(store, executionId),
    ]);
    const { event } = request.data;
    const cause = event && (await readAt(store, event.stream, event.revision));
    return new ActiveExecution(parts, executionId, request, agent, cause, state, revision, position, signal, hasEnded);
  }

  /** @returns the position of the last event of the stream. */
  async untilIdle(): Promise<bigint> {
    if (this.state.kind !== 'ended' && (this.request.isErased || this.cause?.isErased === true)) {
      await this.append([{ type: 'agent.cancelled', data: { executionId: this.executionId, reason: SUBJECT_ERASED } }]);
      return this.position;
    }
    if (this.state.kind === 'requested') {
      // By a version without runtimes, which recorded it elsewhere.
      const earlier = await readLast(this.parts.store, streams.cancelled(this.executionId));
      if (earlier) return earlier.position;
      crashPoint('agents.before-start');
      await this.append([this.start()]);
      crashPoint('agents.after-start');
    }
    while (this.state.kind === 'running') {
      const { drafts, call } = this.decide(this.state);
      await this.append(drafts);
      if (!call) break;
      crashPoint('agents.before-call');
      const outcome = await call(this.signal);
      crashPoint('agents.after-call');
      await this.append(outcome);
      crashPoint('agents.after-outcome');
      if (this.signal.aborted)
        throw new Transient('agent.interrupted', 'The process is stopping; another process continues the execution.');
    }
    return this.position;
  }

  private start(): ExecutionDraft {
    const now = this.parts.world.clock.now();
    const { agent: named, trigger, eventId } = executionOf(this.request);
    const last = this.settingsAt();
    const agentId = last?.data.agentId ?? named;
    const about = {
      executionId: this.executionId,
      agentId,
      agent: last?.data.settings.name ?? named,
      trigger,
      eventId,
    };
    if (!last || this.agentEvents.some(({ type }) => type === 'agent.removed')) {
      const error = { code: 'agent.removed', message: 'The agent was removed before the execution started.' };
      return { type: 'agent.failed', data: { ...about, durationMs: 0, status: 'failed', error } };
    }
    const { runtime, config } = last.data.settings;
    const limit = runtimes[runtime].timeLimit(config);
    const { stream, revision, data } = this.request;
    return {
      type: 'agent.started',
      data: {
        ...about,
        runtime,
        requestedBy: data.requestedBy,
        request: { stream, revision: String(revision) },
        settings: String(last.revision),
        ...(limit !== undefined && { deadline: timeAfter(now, limit).toISOString() }),
      },
    };
  }

  private decide(execution: Running): Move {
    const { world } = this.parts;
    const now = world.clock.now();
    const isOver = execution.deadline && execution.deadline <= now;
    if (isOver && !openApproval(execution.work)) return { drafts: [timedOut(execution, now)] };
    const { settings } = this.settingsAt(execution.start.settings)!.data;
    const event = this.cause && platformEvent(this.cause);
    return runtimes[execution.start.runtime].decide({
      execution,
      settings,
      orgId: this.request.metadata.orgId,
      input: inputOf(this.request, event),
      event,
      eventAt: this.request.data.event,
      now,
      world,
      hasEnded: this.hasEnded,
      secrets: () => this.secrets(),
    });
  }

  /** Those that the agent has now, and those in their time of grace. */
  private async secrets(): Promise<readonly string[]> {
    const named = this.agentEvents.flatMap((event) =>
      event.is('agent.registered', 'agent.updated') && event.data.secret !== undefined ? [event] : [],
    );
    const last = named.at(-1);
    const previous = last?.is('agent.updated') ? (last.data.previous ?? []) : [];
    const earlier = inGrace(previous, this.parts.world.clock.now()).map(({ secret }) => secret);
    const references = last?.data.secret === undefined ? [] : [last.data.secret, ...earlier];
    const texts = await this.parts.secrets.get(references);
    return references.flatMap((reference) => texts.get(reference) ?? []);
  }

  /** The settings of the agent, now or as they were. */
  private settingsAt(revision?: string): RecordedEvent<'agent.registered' | 'agent.updated'> | undefined {
    const saved = this.agentEvents.flatMap((event) => (event.is('agent.registered', 'agent.updated') ? [event] : []));
    return revision === undefined ? saved.at(-1) : saved.find((event) => String(event.revision) === revision);
  }

  private async append(drafts: readonly ExecutionDraft[]): Promise<void> {
    if (drafts.length === 0) return;
    const { store, world } = this.parts;
    const now = world.clock.now();
    const { executionId, owner, revision } = this;
    const agentId = this.settingsAt()?.data.agentId;
    const events = executionEvents(drafts, this.request, { executionId, agentId }, { now, owner, revision });
    const appended = await retryWhileAway(
      () => store.append(streams.execution(executionId), events, revision),
      this.signal,
    );
    this.revision = appended.revision;
    this.position = appended.position;
    const timestamp = now.toISOString();
    for (const { type, data } of drafts) this.state = evolve(this.state, { type, data, timestamp });
  }
}

/** A webhook's input is the payload of the event that it led to. */
export const inputOf = (
  { data }: { readonly data: DataOf<'agent.requested'> },
  event: PlatformEvent | undefined,
): unknown => (data.requestedBy.kind === 'webhook' ? (event?.data['payload'] ?? null) : data.input);
