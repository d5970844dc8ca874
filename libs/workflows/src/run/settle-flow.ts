import { platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { runIdOf } from '#libs/events/src/envelope.js';
import type { TriggerDecision } from '#libs/events/src/shapes/decision-shape.js';
import type { FailedCondition } from '#libs/events/src/shapes/rule-trial-shape.js';
import type { EventPlace } from '#libs/events/src/types/workflow.events.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import type { FlowOutcome } from '../decisions/flow/trigger-flow.adapter.js';
import { errored, notMatched, skipped, type Skipped, startedBy, stateOf } from '../decisions/judge-triggers.js';
import { flowOf } from '../triggers/event.trigger.js';
import { judge } from '../triggers/registry.js';
import type { Listener } from '../workflow/workflow.table.js';

/** A run that starts for an event, or for several of which it is the last. */
export interface FlowStart {
  readonly listener: Listener;
  readonly event: RecordedEvent;
  readonly events?: readonly RecordedEvent[];
}
interface Decided {
  readonly event: RecordedEvent;
  readonly decision: TriggerDecision;
}
export interface Settled {
  readonly start?: FlowStart;
  readonly decisions: readonly Decided[];
}

export interface SettleParts {
  /** `undefined` where retention has taken it. */
  readonly read: (place: EventPlace) => Promise<RecordedEvent | undefined>;
  /** Why the workflow may not start for the event. */
  readonly refused: (event: RecordedEvent, listener: Listener) => Skipped | undefined;
}

/** What becomes of a burst or batch that is over, or complete: the trigger as it is now decides about each event. */
export async function settleGroup(
  outcome: Extract<FlowOutcome, { kind: 'start' | 'ended' }>,
  { read, refused }: SettleParts,
): Promise<Settled> {
  const recorded = (await Promise.all(outcome.events.map(read))).filter((event) => event !== undefined);
  if (outcome.kind === 'start') return started(outcome.step.listener, recorded);
  const { listener } = outcome;
  if (!listener) return { decisions: [] };
  const all = (why: Skipped, failed?: FailedCondition): Settled => ({
    decisions: recorded.map((event) => ({ event, decision: skipped(listener, why, failed) })),
  });
  const state = stateOf(listener.workflow);
  if (state) return all(state);
  const decisions: Decided[] = [];
  const fitting = recorded.filter((event) => {
    const decision = unfit(listener, event);
    if (decision) decisions.push({ event, decision });
    return !decision;
  });
  const last = fitting.at(-1);
  if (!last) return { decisions };
  const refusal = refused(last, listener);
  if (refusal) return all(refusal);
  const held = await outcome.held(last);
  if (held) return all(heldBack(held), held);
  const { start, decisions: others } = started(listener, fitting);
  return { ...(start && { start }), decisions: [...decisions, ...others] };
}

/** What holds an event back, in words. */
export const heldBack = ({ condition }: FailedCondition): Skipped => ({
  reason: 'throttled',
  detail: `Starts a run only if it ${condition}.`,
});

function started(listener: Listener, events: readonly RecordedEvent[]): Settled {
  const event = events.at(-1);
  if (!event) return { decisions: [] };
  const runId = runIdOf(listener.workflow.id, event.id);
  return {
    start: { listener, event, ...(flowOf(listener.trigger)?.batch && { events }) },
    decisions: events.slice(0, -1).map((one) => ({ event: one, decision: startedBy(listener, runId) })),
  };
}

/** Why an event that waited does not fit the trigger now. */
function unfit(listener: Listener, event: RecordedEvent): TriggerDecision | undefined {
  try {
    const verdict = judge(listener.trigger, platformEvent(event), {
      workflowId: listener.workflow.id,
      receiver: undefined,
    });
    if (verdict.kind === 'fits') return undefined;
    if (verdict.kind === 'failed') return notMatched(listener, verdict.failed);
    return skipped(listener, { reason: 'throttled', detail: 'The trigger was changed while the event waited.' });
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    return errored(listener, error.message);
  }
}
