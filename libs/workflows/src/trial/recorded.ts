import { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { type EventContext, newEvent } from '#libs/event-store/src/new-event.js';

export const ORG_ID = 'org_test';

/** An event as the log would hold it. */
export function recorded(
  draft: { readonly type: string; readonly data: object; readonly subject?: string },
  context: EventContext,
  revision: bigint,
): RecordedEvent {
  const { data, metadata } = newEvent(draft, context);
  return new RecordedEvent('test', revision, revision, context.id, draft.type, context.now, data, metadata);
}
