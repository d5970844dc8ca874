import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { FOLLOWS_FROM_ITSELF, followsFrom, followsFromItself, MAX_HOPS } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';

import type { ActiveWorkflow } from '../workflow/workflow.table.js';

/** Why a workflow may not start for an event that its trigger fits: it would go round in circles. */
export function loopOf(
  event: RecordedEvent,
  workflow: ActiveWorkflow,
): { readonly reason: string; readonly detail: string } | undefined {
  const { hop } = event.metadata;
  if (hop >= MAX_HOPS)
    return {
      reason: 'too-many-hops',
      detail: `The event has ${hop} causes before it; at most ${MAX_HOPS} are allowed.`,
    };
  if (isFromItself(event, workflow)) return { reason: FOLLOWS_FROM_ITSELF, detail: followsFromItself('workflow') };
  return undefined;
}

const isFromItself = ({ metadata }: RecordedEvent, { id, definition }: ActiveWorkflow): boolean =>
  definition?.allowRecursion !== true && followsFrom(id, metadata);

/**
 * What is refused without a record, since there would be one for each step of each of its own runs, or since the record
 * would be refused in turn, without end.
 */
export const isIgnored = (event: RecordedEvent, workflow: ActiveWorkflow): boolean => {
  if (!isFromItself(event, workflow)) return false;
  const isOwn = streams.isRun(event.stream) && event.metadata.causedBy?.at(-1) === workflow.id;
  return event.type === 'action.refused' || (isOwn && /^(workflow|run)\./.test(event.type));
};
