import { Inject, Injectable } from '@nestjs/common';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { scheduledWork } from '#libs/persistence/src/claims/scheduled-work.adapter.js';
import { WorkQueue } from '#libs/persistence/src/claims/work.js';

import { StepLibrary } from '../steps/step-library.js';
import { isSchedule, type ScheduleTrigger } from '../triggers/schedule.trigger.js';
import { ticksAfter } from '../triggers/ticks.js';
import { type ActiveWorkflow, WorkflowTable } from '../workflow/workflow.table.js';
import { dueAt } from './due-ticks.js';
import { keyOf, type NextTick, TICKS, workOf } from './tick-work.js';

/**
 * Keeps one row of work for each schedule trigger of an active workflow: its next tick. A tick in the log moves it. A
 * version with the same times keeps the row, so that a tick that is due is not lost when the workflow is edited.
 */
@Injectable()
export class ScheduleTicks implements Subscriber {
  readonly name = followers.schedules;
  private readonly table: WorkflowTable;
  readonly tables: readonly [WorkflowTable];
  readonly reads;
  readonly writes = [] as const;

  constructor(
    @Inject(WorkQueue) private readonly work: WorkQueue,
    @Inject(StepLibrary) library: StepLibrary,
  ) {
    this.table = new WorkflowTable(library);
    this.tables = [this.table];
    this.reads = [...this.table.reads, 'schedule.fired', 'schedule.skipped'] as const;
  }

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    for (const event of events) {
      if (event.is('schedule.fired', 'schedule.skipped')) await this.moveOn(event, context);
      else if (event.is(...this.table.reads)) await this.changed(event.data.workflowId, event, context);
    }
  }

  /** The next tick is the first one after those that were handled. What a person asked for moves nothing. */
  private async moveOn(
    event: RecordedEvent<'schedule.fired' | 'schedule.skipped'>,
    context: SubscriberContext,
  ): Promise<void> {
    if ('at' in event.data && event.data.late === 'backfill') return;
    const { workflowId, trigger: key } = event.data;
    const workflow = this.table.get(workflowId);
    const trigger = schedulesOf(workflow).get(key);
    if (!workflow || !trigger) return;
    const last = new Date('at' in event.data ? event.data.at : event.data.to);
    await this.expect(await context.transaction(), workflow, trigger, last, event.position);
  }

  private async changed(id: string, event: RecordedEvent, context: SubscriberContext): Promise<void> {
    const before = schedulesOf(this.table.get(id));
    this.table.apply(event);
    const workflow = this.table.get(id);
    const after = schedulesOf(workflow);
    const gone = [...before.keys()].filter((key) => !after.has(key));
    if (gone.length + after.size === 0) return;
    const tx = await context.transaction();
    const keys = gone.map((trigger) => keyOf({ workflowId: id, trigger }));
    await this.work.remove(tx, TICKS, keys);
    for (const [key, trigger] of after) {
      const row = keyOf({ workflowId: id, trigger: key });
      const kept = before.has(key) ? await scheduledWork<NextTick>(tx, TICKS, row) : undefined;
      const last = kept ? new Date(new Date(kept.payload.at).getTime() - 1) : event.created;
      await this.expect(tx, workflow!, trigger, last, event.position);
    }
  }

  private async expect(
    tx: ViewTransaction,
    { id: workflowId, name: workflow, orgId }: ActiveWorkflow,
    { key: trigger, schedule }: ScheduleTrigger,
    last: Date,
    position: bigint,
  ): Promise<void> {
    const [next] = ticksAfter(schedule.times, last, 1);
    if (!next) return;
    const tick = { orgId, workflowId, workflow, trigger, schedule, at: next.toISOString() };
    await this.work.schedule(tx, [workOf(tick, dueAt(keyOf(tick), next, schedule.jitterMs), position)]);
  }
}

/** Schedule triggers by key; none while the workflow is paused or disabled. */
function schedulesOf(workflow: ActiveWorkflow | undefined): ReadonlyMap<string, ScheduleTrigger> {
  const { definition, paused } = workflow ?? {};
  const triggers = paused || definition?.disabled ? [] : (definition?.triggers ?? []);
  return new Map(triggers.filter(isSchedule).map((trigger) => [trigger.key, trigger]));
}
