import { platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import type { FailedCondition } from '#libs/events/src/shapes/rule-trial-shape.js';
import type { EventPlace } from '#libs/events/src/types/workflow.events.js';
import {
  type BatchState,
  type Burst,
  collect,
  count,
  type FlowState,
  keptKey,
  throttled,
  type Window,
} from '#libs/flow/src/flow-policy.js';
import type { Work, WorkQueue } from '#libs/persistence/src/claims/work.js';
import { loadRows, removeRows, upsertRows } from '#libs/persistence/src/rows.adapter.js';

import { flowOf } from '../../triggers/event.trigger.js';
import { keysOfEvent, type TriggerFlow } from '../../triggers/flow-control.js';
import type { Listener } from '../../workflow/workflow.table.js';
import { TriggerGroupView, TriggerWindowView } from './trigger-flow.view.js';

/** The queue of bursts and batches that will be over, and of what tells that they are. */
export const GROUPS = 'workflows.groups';

/** What is to be told when a group is over. */
export interface GroupTask {
  readonly workflowId: string;
  readonly trigger: number;
  readonly key: string;
  readonly orgId: string;
  /** The last event of the group. */
  readonly eventId: string;
}

/** An event that fits a trigger, before it is known whether a run starts. */
export interface FlowFit {
  readonly kind: 'fit';
  readonly event: RecordedEvent;
  readonly listener: Listener;
  readonly flow: TriggerFlow;
  /** Filled in. */
  readonly keys: { readonly throttleKey?: string; readonly burstKey?: string };
}

/** The log says that a group is over; the trigger as it is then, if it is there. */
export interface GroupEnd {
  readonly kind: 'end';
  readonly event: RecordedEvent<'trigger.group_ended'>;
  readonly listener: Listener | undefined;
}

/** What becomes of an event, or of a group of them. */
export type FlowOutcome =
  | { readonly kind: 'held'; readonly step: FlowFit; readonly failed: FailedCondition }
  | { readonly kind: 'start'; readonly step: FlowFit; readonly events: readonly EventPlace[] }
  /** A group is over: the trigger decides now. `held` counts its run, and says why there is none. */
  | {
      readonly kind: 'ended';
      readonly listener: Listener | undefined;
      readonly workflowId: string;
      readonly trigger: number;
      readonly events: readonly EventPlace[];
      readonly held: (last: RecordedEvent) => Promise<FailedCondition | undefined>;
    };

type Group = Burst<readonly EventPlace[]>;

const triggerId = (workflowId: string, index: number): string => `${workflowId}/${index}`;
const idOf = (trigger: string, key: string): string => `${trigger} ${key}`;

/**
 * Decides which events of a trigger with `throttle`, `debounce` or `batch` start a run, by the policy that rules have too.
 * State is kept in the transaction of the checkpoint, so that an event that is looked at again meets it as it was.
 */
export class TriggerFlowControl {
  constructor(private readonly work: WorkQueue) {}

  /** @param steps in the order of the log. `save` must follow when all outcomes have been dealt with. */
  async pass(
    steps: readonly (FlowFit | GroupEnd)[],
    context: SubscriberContext,
  ): Promise<{ readonly outcomes: readonly FlowOutcome[]; readonly save: () => Promise<void> }> {
    if (steps.length === 0) return { outcomes: [], save: () => Promise.resolve() };
    const state = await BatchOfState.load(await context.transaction(), steps);
    const outcomes = steps.flatMap((step) => (step.kind === 'fit' ? state.count(step) : state.end(step)));
    const time = steps[0]!.event.created.getTime();
    return { outcomes, save: () => state.save(this.work, time) };
  }
}

/** Windows and groups of the keys of a batch: loaded once, changed in memory, written once. */
class BatchOfState {
  private readonly changedWindows = new Map<string, Window & { triggerId: string; key: string; endsAt: number }>();
  /** `undefined` where the group is over. */
  private readonly changedGroups = new Map<
    string,
    { readonly task: GroupTask; readonly group: Group | undefined; readonly asOf: bigint }
  >();

  private constructor(
    private readonly tx: ViewTransaction,
    private readonly windows: Map<string, Window>,
    private readonly groups: Map<string, Group>,
  ) {}

  static async load(tx: ViewTransaction, steps: readonly (FlowFit | GroupEnd)[]): Promise<BatchOfState> {
    const windows: { triggerId: string; key: string }[] = [];
    const groups: { triggerId: string; key: string }[] = [];
    for (const step of steps)
      if (step.kind === 'end') {
        const { workflowId, trigger, key } = step.event.data;
        groups.push({ triggerId: triggerId(workflowId, trigger), key });
      } else {
        const { workflow, index } = step.listener;
        const { burstKey, throttleKey } = step.keys;
        const id = triggerId(workflow.id, index);
        if (burstKey !== undefined) groups.push({ triggerId: id, key: keptKey(burstKey) });
        else if (throttleKey !== undefined) windows.push({ triggerId: id, key: keptKey(throttleKey) });
      }
    const found = await loadRows(tx, TriggerGroupView, groups);
    return new BatchOfState(
      tx,
      await loadWindows(tx, windows),
      new Map(
        found.map(({ triggerId: id, key, startedAt, dueAt, events }) => [
          idOf(id, key),
          { startedAt: Number(startedAt), dueAt: Number(dueAt), last: events },
        ]),
      ),
    );
  }

  count(step: FlowFit): readonly FlowOutcome[] {
    const { event, listener, flow, keys } = step;
    const match: EventPlace = {
      id: eventIdOf(event.id),
      type: event.type,
      stream: event.stream,
      revision: String(event.revision),
    };
    const asked = { ...keys, time: event.created.getTime(), fits: () => true };
    const state = this.of(listener, event);
    if (flow.batch) {
      const { full, held, overtaken } = collect(flow.batch, { ...asked, match }, state);
      return [
        ...(overtaken ? [this.ended(listener, overtaken)] : []),
        held ? { kind: 'held', step, failed: held } : { kind: 'start', step, events: full! },
      ];
    }
    const { held, overtaken } = count(flow, { ...asked, match: [match] }, state);
    return [
      ...(overtaken ? [this.ended(listener, overtaken)] : []),
      held ? { kind: 'held', step, failed: held } : { kind: 'start', step, events: [match] },
    ];
  }

  /** The group that is over, unless it has gone on since. */
  end({ event, listener }: GroupEnd): readonly FlowOutcome[] {
    const { workflowId, trigger, key, eventId } = event.data;
    const id = idOf(triggerId(workflowId, trigger), key);
    const group = this.groups.get(id);
    if (!group) return [];
    const task = { workflowId, trigger, key, orgId: event.metadata.orgId, eventId: group.last.at(-1)!.id };
    if (task.eventId !== eventId) {
      // Its task waits for what becomes of this event: schedule it again.
      this.changedGroups.set(id, { task, group, asOf: event.position });
      return [];
    }
    this.groups.delete(id);
    this.changedGroups.set(id, { task, group: undefined, asOf: event.position });
    const held = (last: RecordedEvent) => this.throttleLater(listener, last, group.dueAt);
    return [{ kind: 'ended', listener, workflowId, trigger, events: group.last, held }];
  }

  private ended(listener: Listener, group: Group): FlowOutcome {
    const { workflow, index: trigger } = listener;
    const held = (last: RecordedEvent) => this.throttleLater(listener, last, group.dueAt);
    return { kind: 'ended', listener, workflowId: workflow.id, trigger, events: group.last, held };
  }

  /** Why an event that has waited for the end of its burst may not start a run then. */
  private async throttleLater(
    listener: Listener | undefined,
    event: RecordedEvent,
    time: number,
  ): Promise<FailedCondition | undefined> {
    const flow = listener && flowOf(listener.trigger);
    if (!flow?.throttle) return undefined;
    const { throttleKey } = keysOfEvent(flow, { ...platformEvent(event), event: platformEvent(event) });
    const wanted = { triggerId: triggerId(listener!.workflow.id, listener!.index), key: keptKey(throttleKey!) };
    const id = idOf(wanted.triggerId, wanted.key);
    const known = this.windows.get(id) ?? (await loadWindows(this.tx, [wanted])).get(id);
    if (known) this.windows.set(id, known);
    return throttled(flow, { throttleKey: throttleKey!, time, fits: () => true }, this.of(listener!, event));
  }

  private of(
    { workflow, index }: Listener,
    event: RecordedEvent,
  ): FlowState<readonly EventPlace[]> & BatchState<EventPlace> {
    const trigger = triggerId(workflow.id, index);
    const change = (key: string, group: Group | undefined): void => {
      const id = idOf(trigger, key);
      const task = { workflowId: workflow.id, trigger: index, key, orgId: workflow.orgId, eventId: '' };
      if (group) this.groups.set(id, group);
      else this.groups.delete(id);
      const eventId = group?.last.at(-1)!.id ?? '';
      this.changedGroups.set(id, { task: { ...task, eventId }, group, asOf: event.position });
    };
    return {
      window: (key) => this.windows.get(idOf(trigger, key)),
      keepWindow: (key, window, endsAt) => {
        this.windows.set(idOf(trigger, key), window);
        this.changedWindows.set(idOf(trigger, key), { triggerId: trigger, key, ...window, endsAt });
      },
      burst: (key) => this.groups.get(idOf(trigger, key)),
      keepBurst: change,
      endBurst: (key) => change(key, undefined),
    };
  }

  async save(work: WorkQueue, time: number): Promise<void> {
    const { tx } = this;
    if (this.changedWindows.size > 0) {
      await upsertRows(tx, TriggerWindowView, [...this.changedWindows.values()]);
      tx.write('delete from views.trigger_windows where ends_at < $1', [time]);
    }
    const changed = [...this.changedGroups.values()];
    const kept = changed.flatMap(({ task, group, asOf }) => (group ? [{ task, group, asOf }] : []));
    const over = changed.filter(({ group }) => !group).map(({ task }) => task);
    const rowKey = ({ workflowId, trigger, key }: GroupTask) => ({ triggerId: triggerId(workflowId, trigger), key });
    if (over.length > 0) {
      await removeRows(tx, TriggerGroupView, over.map(rowKey));
      await work.remove(tx, GROUPS, over.map(workKey));
    }
    if (kept.length === 0) return;
    await upsertRows(
      tx,
      TriggerGroupView,
      kept.map(({ task, group: { startedAt, dueAt, last } }) => ({ ...rowKey(task), startedAt, dueAt, events: last })),
    );
    await work.schedule(
      tx,
      kept.map(({ task, group, asOf }): Work<GroupTask> => ({
        queue: GROUPS,
        key: workKey(task),
        dueAt: new Date(group.dueAt),
        payload: task,
        position: asOf,
      })),
    );
  }
}

const workKey = ({ workflowId, trigger, key }: GroupTask): string => idOf(triggerId(workflowId, trigger), key);

async function loadWindows(
  tx: ViewTransaction,
  wanted: readonly { readonly triggerId: string; readonly key: string }[],
): Promise<Map<string, Window>> {
  const rows = await loadRows(tx, TriggerWindowView, wanted);
  return new Map(
    rows.map(({ triggerId: id, key, startedAt, used }) => [idOf(id, key), { startedAt: Number(startedAt), used }]),
  );
}

/** The last event of a group; `undefined` if it is over. */
export async function lastOfGroup(
  database: Pick<ViewTransaction, 'query'>,
  { workflowId, trigger, key }: GroupTask,
): Promise<string | undefined> {
  const [row] = await loadRows(database, TriggerGroupView, [{ triggerId: triggerId(workflowId, trigger), key }]);
  return row?.events.at(-1)?.id;
}
