import { Inject, Injectable } from '@nestjs/common';

import {
  CORRELATION_EXHAUSTED,
  CorrelationBudget,
  exhaustedInWords,
} from '#libs/event-index/src/correlation-budget.js';
import { appendOnce } from '#libs/event-store/src/append-once.js';
import { EventStore, platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readAt } from '#libs/event-store/src/reading.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { causedBy, ENGINE, eventIdOf, MAX_HOPS, personalOf, runIdOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import type { TriggerDecision } from '#libs/events/src/shapes/decision-shape.js';
import type { WorkflowTrigger } from '#libs/events/src/shapes/run-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { derivedId, uuid5, type Uuid } from '#libs/kernel/src/ids.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';
import { LOG, type Log, silentLog } from '#libs/kernel/src/log.js';
import { Settings } from '#libs/kernel/src/settings.js';
import { WorkQueue } from '#libs/persistence/src/claims/work.js';

import {
  type FlowFit,
  type FlowOutcome,
  type GroupEnd,
  TriggerFlowControl,
} from '../decisions/flow/trigger-flow.adapter.js';
import { errored, type Fit, judgeTriggers, skipped, type Skipped, stateOf } from '../decisions/judge-triggers.js';
import { recordAfterGroup, TriggerRecords } from '../decisions/record-decisions.js';
import { RUN_EVENT_TYPES } from '../engine/decide.js';
import { declaredInputs, defaultInputs, inputsOf } from '../language/inputs.js';
import { stepEventTypes } from '../steps/registry.js';
import { StepLibrary } from '../steps/step-library.js';
import { flowOf } from '../triggers/event.trigger.js';
import { keysOfEvent } from '../triggers/flow-control.js';
import { InboundIntegrations } from '../triggers/inbound-integrations.js';
import { type ActiveWorkflow, WorkflowTable } from '../workflow/workflow.table.js';
import { firstEventOf, type NewRun } from './first-append.js';
import { isIgnored, loopOf } from '../decisions/may-start.js';
import { recordRun } from './record-run.js';
import { heldBack, settleGroup } from './settle-flow.js';

const CONCURRENT_APPENDS = 64;

/** What an event leads to: a run, or a refusal in its stead. Either is the first event of the run's stream. */
type Consequence =
  | { readonly kind: 'run'; readonly run: NewRun }
  | {
      readonly kind: 'refusal';
      readonly runId: string;
      /** Absent where there is no such workflow. */
      readonly workflowId?: string;
      readonly action: string;
      readonly reason: string;
      readonly detail: string;
    };

/**
 * Starts runs: for each event that a trigger of an active workflow listens to, and for each request by a rule. The
 * run's id follows from workflow and event, and its stream must not exist: once per event, whatever restarts happen.
 */
@Injectable()
export class StartRuns implements Subscriber {
  readonly name = followers.startRuns;
  readonly reads = 'all' as const;
  readonly writes = [
    'workflow.started',
    'trigger.evaluated',
    'action.refused',
    'correlation.exhausted',
    ...RUN_EVENT_TYPES,
    ...stepEventTypes('without attempts'),
  ] as const;
  readonly batchSize = 256;
  private readonly table: WorkflowTable;
  private readonly integrations = new InboundIntegrations();
  readonly tables: readonly [WorkflowTable, InboundIntegrations];
  private readonly records: TriggerRecords;
  private readonly flow: TriggerFlowControl;

  constructor(
    @Inject(EventStore) readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(Settings) private readonly settings: Settings,
    @Inject(StepLibrary) library: StepLibrary,
    @Inject(CorrelationBudget) private readonly budget: CorrelationBudget,
    @Inject(WorkQueue) readonly work: WorkQueue,
    @Inject(LOG) readonly log: Log = silentLog,
  ) {
    this.table = new WorkflowTable(library);
    this.tables = [this.table, this.integrations];
    this.records = new TriggerRecords(store);
    this.flow = new TriggerFlowControl(work);
  }

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    await this.budget.note(events, (type) => type === 'workflow.requested' || this.table.mayListen(type));
    const found: (readonly [RecordedEvent, Consequence])[] = [];
    const decided = new Map<Uuid, { readonly event: RecordedEvent; readonly decisions: TriggerDecision[] }>();
    const steps: (FlowFit | GroupEnd)[] = [];
    for (const event of events) {
      const decisions: TriggerDecision[] = [];
      const waiting = steps.length;
      for (const consequence of this.consequencesOf(event, decisions, steps)) found.push([event, consequence]);
      if (decisions.length > 0 || steps.length > waiting) decided.set(event.id, { event, decisions });
      if (event.is('trigger.group_ended')) {
        const { workflowId, trigger } = event.data;
        steps.push({ kind: 'end', event, listener: this.table.listenerAt(workflowId, trigger) });
      }
      // A workflow listens to what is recorded after its activation.
      if (event.is(...this.table.reads)) this.table.apply(event);
      else if (event.is(...this.integrations.reads)) this.integrations.apply(event);
    }
    const { outcomes, save } = await this.flow.pass(steps, context);
    for (const outcome of outcomes)
      if (outcome.kind === 'held')
        decided
          .get(outcome.step.event.id)!
          .decisions.push(skipped(outcome.step.listener, heldBack(outcome.failed), outcome.failed));
      else found.push(...(await this.settle(outcome)));
    await save();
    await this.budget.tell();
    await Promise.all([
      inParallel(
        found.filter(([, one]) => one.kind !== 'run' || !context.isKnown?.(firstEventOf(one.run.runId))),
        CONCURRENT_APPENDS,
        ([event, consequence]) => this.record(event, consequence),
      ),
      this.records.record([...decided.values()], this.clock.now()),
    ]);
  }

  /** A burst or batch is over, or complete. */
  private async settle(
    outcome: Extract<FlowOutcome, { kind: 'start' | 'ended' }>,
  ): Promise<readonly (readonly [RecordedEvent, Consequence])[]> {
    const { start, decisions } = await settleGroup(outcome, {
      read: ({ stream, revision }) => readAt(this.store, stream, revision),
      refused: (event, { workflow }) => {
        const refusal = this.refusalOf(event, workflow);
        return refusal && skippedFor(refusal);
      },
    });
    const last = start?.event ?? decisions.at(-1)?.event;
    const { id } = outcome.kind === 'start' ? outcome.step.listener.workflow : { id: outcome.workflowId };
    const given = decisions.map(({ event, decision }) => ({ event, decisions: [decision] }));
    if (last) await recordAfterGroup(this.store, last, id, given, this.clock.now());
    if (!start) return [];
    const { listener, event, events } = start;
    const { workflow, index } = listener;
    return [
      [event, this.newRun(event, workflow, { kind: 'event', index }, defaultInputs(workflow.definition!), events)],
    ];
  }

  /**
   * @param decisions of triggers that start no run are added to it.
   * @param steps so are events of triggers with `throttle`, `debounce` or `batch`.
   */
  private consequencesOf(
    event: RecordedEvent,
    decisions: TriggerDecision[],
    steps: (FlowFit | GroupEnd)[],
  ): readonly Consequence[] {
    // A refusal beyond the limit is the end: to listen to it would begin again.
    if (event.type === 'action.refused' && event.metadata.hop > MAX_HOPS) return [];
    const requested = event.is('workflow.requested') ? [this.requested(event)] : [];
    return this.table.mayListen(event.type) ? [...requested, ...this.triggered(event, decisions, steps)] : requested;
  }

  private triggered(
    event: RecordedEvent,
    decisions: TriggerDecision[],
    steps: (FlowFit | GroupEnd)[],
  ): readonly Consequence[] {
    const listeners = this.table.listenersTo(event.metadata.orgId, event.type);
    const { fits, errors, failed } = judgeTriggers(listeners, event, this.integrations.receiverOf(event), (workflow) =>
      isIgnored(event, workflow),
    );
    decisions.push(...failed);
    const refusals: Consequence[] = [];
    for (const { listener, code, error } of errors) {
      const { workflow } = listener;
      decisions.push(errored(listener, error));
      if (stateOf(workflow) || fits.some((fit) => fit.listener.workflow === workflow)) continue;
      const detail = `The trigger of workflow "${workflow.name}" cannot be evaluated: ${error}`;
      refusals.push(this.refused(event, workflow, 'trigger', { reason: code, detail }));
    }
    return [...refusals, ...fits.flatMap((fit) => this.begin(event, fit, decisions, steps))];
  }

  private begin(
    event: RecordedEvent,
    { listener, because }: Fit,
    decisions: TriggerDecision[],
    steps: (FlowFit | GroupEnd)[],
  ): readonly Consequence[] {
    const { workflow, index, trigger } = listener;
    const held = stateOf(workflow);
    if (held) decisions.push(skipped(listener, held));
    if (held) return [];
    const refusal = this.refusalOf(event, workflow);
    if (refusal) {
      decisions.push(skipped(listener, skippedFor(refusal)));
      // That the story is too long was told once: an event for each workflow would make it longer.
      return this.budget.isSpent(event) ? [] : [this.refused(event, workflow, 'trigger', refusal)];
    }
    const flow = flowOf(trigger);
    if (flow) {
      try {
        const about = platformEvent(event);
        steps.push({ kind: 'fit', event, listener, flow, keys: keysOfEvent(flow, { ...about, event: about }) });
      } catch (error) {
        if (!(error instanceof Rejected)) throw error;
        decisions.push(errored(listener, error.message));
      }
      return [];
    }
    // Its kind is the trigger's type.
    const start = { kind: trigger.type as WorkflowTrigger, index, ...(because !== undefined && { because }) } as const;
    return [this.newRun(event, workflow, start, defaultInputs(workflow.definition!))];
  }

  private requested(event: RecordedEvent<'workflow.requested'>): Consequence {
    const { workflow: name, inputs } = event.data;
    const { orgId } = event.metadata;
    const workflow = this.table.find(orgId, name);
    const runId = workflow ? runIdOf(workflow.id, event.id) : derivedId('run', 'run', 'unknown', event.id);
    const action = 'dispatch_workflow';
    if (workflow?.definition === undefined) {
      const detail = workflow
        ? `The workflow "${name}" cannot run: a step that it uses is not installed.`
        : `There is no active workflow "${name}".`;
      return { kind: 'refusal', runId, action, reason: workflow ? 'broken-workflow' : 'unknown-workflow', detail };
    }
    const { definition } = workflow;
    if (definition.disabled)
      return {
        kind: 'refusal',
        runId,
        action,
        reason: 'disabled-workflow',
        detail: `The workflow "${name}" is disabled.`,
      };
    const refusal = this.refusalOf(event, workflow);
    if (refusal) return this.refused(event, workflow, action, refusal);
    try {
      return this.newRun(event, workflow, { kind: 'request' }, inputsOf(declaredInputs(definition), inputs));
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      const [problem] = error.problems;
      const detail = `${error.message} ${problem?.pointer ?? ''}: ${problem?.detail ?? ''}`;
      return this.refused(event, workflow, action, { reason: 'invalid-inputs', detail });
    }
  }

  private refused(
    event: RecordedEvent,
    workflow: ActiveWorkflow,
    action: string,
    refusal: { readonly reason: string; readonly detail: string },
  ): Consequence {
    return { kind: 'refusal', runId: runIdOf(workflow.id, event.id), workflowId: workflow.id, action, ...refusal };
  }

  /** Why a workflow may not start for an event that its trigger fits. */
  private refusalOf(event: RecordedEvent, workflow: ActiveWorkflow): { reason: string; detail: string } | undefined {
    const loop = loopOf(event, workflow);
    if (loop) return loop;
    if (this.budget.isSpent(event))
      return { reason: CORRELATION_EXHAUSTED, detail: exhaustedInWords(this.budget.limit) };
    return undefined;
  }

  private newRun(
    event: RecordedEvent,
    workflow: ActiveWorkflow,
    trigger: NewRun['trigger'],
    inputs: Record<string, unknown>,
    events?: readonly RecordedEvent[],
  ): Consequence {
    const { orgId } = event.metadata;
    const { retrySchedule } = this.settings;
    const personal = personalOf(event.metadata, ...(events ?? []).map(({ metadata }) => metadata));
    const cause = { ...causedBy(event, workflow.id), ...personal };
    const asker = event.is('workflow.requested') ? event.data.requestedBy : undefined;
    const parent = asker?.kind === 'run' ? { runId: asker.runId, path: asker.stepId } : undefined;
    const run: NewRun = {
      runId: runIdOf(workflow.id, event.id),
      workflow,
      trigger,
      inputs,
      event,
      ...(events && { events }),
      orgId,
      cause,
      retrySchedule,
      ...(parent && { parent }),
    };
    return { kind: 'run', run };
  }

  private async record(event: RecordedEvent, consequence: Consequence): Promise<void> {
    const now = this.clock.now();
    crashPoint('workflows.before-start');
    if (consequence.kind === 'run') await this.recordRun(event, consequence.run, now);
    else await appendOnce(this.store, streams.run(consequence.runId), [this.refusal(event, consequence, now)]);
    crashPoint('workflows.after-start');
  }

  private async recordRun(event: RecordedEvent, run: NewRun, now: Date): Promise<void> {
    const about = await this.subjectOf(event);
    const cause = run.cause && { ...run.cause, ...personalOf(run.cause, about.metadata) };
    await recordRun(this, { ...run, event: about, cause }, now);
  }

  /** A request by a rule names another event: the run is about that one. */
  private async subjectOf(event: RecordedEvent): Promise<RecordedEvent> {
    if (!event.is('workflow.requested') || event.data.event === undefined) return event;
    const { stream, revision } = event.data.event;
    const found = await readAt(this.store, stream, revision);
    return found ?? event;
  }

  private refusal(event: RecordedEvent, refusal: Extract<Consequence, { kind: 'refusal' }>, now: Date) {
    const { action, reason, detail, runId, workflowId } = refusal;
    const requestedBy = event.is('workflow.requested') ? { requestedBy: event.data.requestedBy } : {};
    const data = { action, reason, detail, eventId: eventIdOf(event.id), ...requestedBy };
    const { orgId, subject } = event.metadata;
    const id = uuid5(followers.startRuns, 'refused', runId);
    const context = { id, orgId, actor: ENGINE, now, cause: causedBy(event, workflowId), subject };
    return newEvent({ type: 'action.refused', data }, context);
  }
}

const skippedFor = ({ reason, detail }: { readonly reason: string; readonly detail: string }): Skipped => ({
  reason: reason === CORRELATION_EXHAUSTED ? 'budget' : 'loop',
  detail,
});
