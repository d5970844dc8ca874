import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { platformEvent } from '#libs/event-store/src/event-store.js';
import type { SkipReason, TriggerDecision } from '#libs/events/src/shapes/decision-shape.js';
import type { FailedCondition } from '#libs/events/src/shapes/rule-trial-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { judge } from '../triggers/registry.js';
import type { InboundIntegration } from '../triggers/inbound-integrations.js';
import type { ActiveWorkflow, Listener } from '../workflow/workflow.table.js';

/** Why a workflow does not start for an event that its trigger fits. */
export interface Skipped {
  readonly reason: SkipReason;
  readonly detail: string;
}

/** A trigger that an event fits, and what else there is to say. */
export interface Fit {
  readonly listener: Listener;
  /** Why it fits although nobody knows for sure. */
  readonly because?: string;
}

/** What the triggers that listen to the type of an event made of it. */
export interface Judged {
  /** At most one for each workflow. */
  readonly fits: readonly Fit[];
  /** Triggers that cannot be evaluated, each with the code. */
  readonly errors: readonly { readonly listener: Listener; readonly code: string; readonly error: string }[];
  /** Triggers that the event does not fit. */
  readonly failed: readonly TriggerDecision[];
}

/** A workflow starts once for an event, by its first trigger that the event fits: those after it are not asked. */
export function judgeTriggers(
  listeners: readonly Listener[],
  event: RecordedEvent,
  receiver: InboundIntegration | undefined,
  isIgnored: (workflow: ActiveWorkflow) => boolean,
): Judged {
  const fits = new Map<string, Fit>();
  const errors: Judged['errors'][number][] = [];
  const failed: TriggerDecision[] = [];
  for (const listener of listeners) {
    const { workflow, trigger } = listener;
    if (fits.has(workflow.id) || isIgnored(workflow)) continue;
    try {
      const verdict = judge(trigger, platformEvent(event), { workflowId: workflow.id, receiver });
      if (verdict.kind === 'fits')
        fits.set(workflow.id, { listener, ...(verdict.because !== undefined && { because: verdict.because }) });
      else if (verdict.kind === 'failed') failed.push(notMatched(listener, verdict.failed));
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      errors.push({ listener, code: error.code, error: error.message });
    }
  }
  return { fits: [...fits.values()], errors, failed };
}

/** Why a workflow starts no runs at all. */
export function stateOf({ name, definition, paused, archived }: ActiveWorkflow): Skipped | undefined {
  if (archived) return { reason: 'archived', detail: `The workflow "${name}" is archived.` };
  if (definition?.disabled) return { reason: 'disabled', detail: `The workflow "${name}" is disabled.` };
  if (paused) return { reason: 'paused', detail: `The workflow "${name}" is paused.` };
  return undefined;
}

/** @param failed the control that held the event back. */
export const skipped = (
  listener: Listener,
  { reason, detail }: Skipped,
  failed?: FailedCondition,
): TriggerDecision => ({
  ...about(listener),
  outcome: 'skipped',
  reason,
  detail,
  ...(failed && { failed: inText(listener, failed) }),
});

export const notMatched = (listener: Listener, failed: FailedCondition): TriggerDecision => ({
  ...about(listener),
  outcome: 'not_matched',
  failed: inText(listener, failed),
});

/** For an event of a batch; the last one is what the run says itself. */
export const startedBy = (listener: Listener, runId: string): TriggerDecision => ({
  ...about(listener),
  outcome: 'started',
  runId,
});

/** A condition of a trigger, with its place in the whole text. */
const inText = ({ index }: Listener, failed: FailedCondition): FailedCondition => ({
  ...failed,
  pointer: `/triggers/${index}${failed.pointer}`,
});

export const errored = (listener: Listener, error: string): TriggerDecision => ({
  ...about(listener),
  outcome: 'errored',
  error,
});

const about = ({ workflow, index }: Listener) => ({
  workflowId: workflow.id,
  workflow: workflow.name,
  version: workflow.version,
  trigger: index,
});
