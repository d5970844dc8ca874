import { Inject, Injectable } from '@nestjs/common';

import { appendOnce } from '#libs/event-store/src/append-once.js';
import { EventStore, platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readAt } from '#libs/event-store/src/reading.js';
import type { Subscriber } from '#libs/event-store/src/subscriber.js';
import { causedBy, eventIdOf, MAX_HOPS } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { derivedId, uuid5 } from '#libs/kernel/src/ids.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';
import { LOG, type Log, silentLog } from '#libs/kernel/src/log.js';
import { Settings } from '#libs/kernel/src/settings.js';

import { RUN_EVENT_TYPES } from '../engine/decide.js';
import { declaredInputs, defaultInputs, inputsOf } from '../language/inputs.js';
import { stepEventTypes } from '../steps/registry.js';
import { StepLibrary } from '../steps/step-library.js';
import { doubt, fits } from '../triggers/registry.js';
import { type ActiveWorkflow, WorkflowTable } from '../workflow/workflow.table.js';
import { firstAppend, type NewRun } from './first-append.js';
import { logFailures } from './log-failures.js';

const CONCURRENT_APPENDS = 64;

/** What an event leads to: a run, or a refusal in its stead. Either is the first event of the run's stream. */
type Consequence =
  | { readonly kind: 'run'; readonly run: NewRun }
  | {
      readonly kind: 'refusal';
      readonly runId: string;
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
    'action.refused',
    ...RUN_EVENT_TYPES,
    ...stepEventTypes('without attempts'),
  ] as const;
  readonly batchSize = 256;
  private readonly table: WorkflowTable;
  readonly tables: readonly [WorkflowTable];

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(Settings) private readonly settings: Settings,
    @Inject(StepLibrary) library: StepLibrary,
    @Inject(LOG) private readonly log: Log = silentLog,
  ) {
    this.table = new WorkflowTable(library);
    this.tables = [this.table];
  }

  async handle(events: readonly RecordedEvent[]): Promise<void> {
    const found: (readonly [RecordedEvent, Consequence])[] = [];
    for (const event of events) {
      for (const consequence of this.consequencesOf(event)) found.push([event, consequence]);
      // A workflow listens to what is recorded after its activation.
      if (event.is(...this.table.reads)) this.table.apply(event);
    }
    await inParallel(found, CONCURRENT_APPENDS, ([event, consequence]) => this.record(event, consequence));
  }

  private consequencesOf(event: RecordedEvent): Consequence[] {
    // A refusal beyond the limit is the end: to listen to it would begin again.
    if (event.type === 'action.refused' && event.metadata.hop > MAX_HOPS) return [];
    const requested = event.is('workflow.requested') ? [this.requested(event)] : [];
    return this.table.mayListen(event.type) ? [...requested, ...this.triggered(event)] : requested;
  }

  private triggered(event: RecordedEvent): Consequence[] {
    const consequences = new Map<string, Consequence>();
    for (const { workflow, index, trigger } of this.table.listenersTo(event.metadata.orgId, event.type)) {
      if (consequences.has(workflow.id) || isOwn(event, workflow)) continue;
      const runId = runIdOf(workflow, event);
      try {
        if (!fits(trigger, platformEvent(event))) continue;
        const because = doubt(trigger, platformEvent(event));
        const start = { kind: 'event', index, ...(because !== undefined && { because }) } as const;
        consequences.set(
          workflow.id,
          this.unlessTooFar(event, 'trigger', runId, () =>
            this.newRun(event, workflow, runId, start, defaultInputs(workflow.definition!)),
          ),
        );
      } catch (error) {
        if (!(error instanceof Rejected)) throw error;
        const detail = `The trigger of workflow "${workflow.name}" cannot be decided: ${error.message}`;
        consequences.set(workflow.id, { kind: 'refusal', runId, action: 'trigger', reason: error.code, detail });
      }
    }
    return [...consequences.values()];
  }

  private requested(event: RecordedEvent<'workflow.requested'>): Consequence {
    const { workflow: name, inputs } = event.data;
    const { orgId } = event.metadata;
    const workflow = this.table.find(orgId, name);
    const runId = workflow ? runIdOf(workflow, event) : derivedId('run', 'run', 'unknown', event.id);
    const action = 'dispatch_workflow';
    if (workflow?.definition === undefined) {
      const detail = workflow
        ? `The workflow "${name}" cannot run: a step that it uses is not installed.`
        : `There is no active workflow "${name}".`;
      return { kind: 'refusal', runId, action, reason: workflow ? 'broken-workflow' : 'unknown-workflow', detail };
    }
    const { definition } = workflow;
    return this.unlessTooFar(event, action, runId, () => {
      try {
        const given = inputsOf(declaredInputs(definition), inputs);
        return this.newRun(event, workflow, runId, { kind: 'request' }, given);
      } catch (error) {
        if (!(error instanceof Rejected)) throw error;
        const [problem] = error.problems;
        const detail = `${error.message} ${problem?.pointer ?? ''}: ${problem?.detail ?? ''}`;
        return { kind: 'refusal', runId, action, reason: 'invalid-inputs', detail };
      }
    });
  }

  private unlessTooFar(event: RecordedEvent, action: string, runId: string, open: () => Consequence): Consequence {
    const { hop } = event.metadata;
    if (hop < MAX_HOPS) return open();
    const detail = `The event has ${hop} causes before it; at most ${MAX_HOPS} are allowed.`;
    return { kind: 'refusal', runId, action, reason: 'too-many-hops', detail };
  }

  private newRun(
    event: RecordedEvent,
    workflow: ActiveWorkflow,
    runId: string,
    trigger: NewRun['trigger'],
    inputs: Record<string, unknown>,
  ): Consequence {
    const { orgId } = event.metadata;
    const { retrySchedule } = this.settings;
    const run: NewRun = { runId, workflow, trigger, inputs, event, orgId, cause: causedBy(event), retrySchedule };
    return { kind: 'run', run };
  }

  private async record(event: RecordedEvent, consequence: Consequence): Promise<void> {
    const now = this.clock.now();
    const { runId } = consequence.kind === 'run' ? consequence.run : consequence;
    const events =
      consequence.kind === 'run'
        ? firstAppend({ ...consequence.run, event: await this.subjectOf(event) }, now)
        : [this.refusal(event, consequence, now)];
    crashPoint('workflows.before-start');
    // An earlier try may have started it, perhaps long ago.
    const { repeated } = await appendOnce(this.store, streams.run(runId), events);
    if (!repeated) logFailures(this.log, events);
    crashPoint('workflows.after-start');
  }

  /** A request by a rule names another event: the run is about that one. */
  private async subjectOf(event: RecordedEvent): Promise<RecordedEvent> {
    if (!event.is('workflow.requested') || event.data.event === undefined) return event;
    const { stream, revision } = event.data.event;
    const found = await readAt(this.store, stream, revision);
    return found ?? event;
  }

  private refusal(event: RecordedEvent, refusal: Extract<Consequence, { kind: 'refusal' }>, now: Date) {
    const { action, reason, detail, runId } = refusal;
    const requestedBy = event.is('workflow.requested') ? { requestedBy: event.data.requestedBy } : {};
    const data = { action, reason, detail, eventId: eventIdOf(event.id), ...requestedBy };
    const { orgId, subject } = event.metadata;
    const id = uuid5(followers.startRuns, 'refused', runId);
    const context = { id, orgId, actor: 'millrace', now, cause: causedBy(event), subject };
    return newEvent({ type: 'action.refused', data }, context);
  }
}

const runIdOf = (workflow: { id: string }, event: RecordedEvent): string =>
  derivedId('run', 'run', workflow.id, event.id);

/** A workflow does not start itself by what its own runs record. */
const isOwn = (event: RecordedEvent, workflow: ActiveWorkflow): boolean =>
  streams.isRun(event.stream) && (event.data as { workflowId?: unknown }).workflowId === workflow.id;
