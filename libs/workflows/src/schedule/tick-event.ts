import type { EventToAppend } from '#libs/event-store/src/event-store.js';
import { type EventDraft, newEvent } from '#libs/event-store/src/new-event.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { uuid5 } from '#libs/kernel/src/ids.js';

type TickDraft = EventDraft<'schedule.fired' | 'schedule.skipped'>;

/** A tick as the log takes it. Its id follows from workflow, trigger and time, as its stream does. */
export function tickEvent(draft: TickDraft, orgId: string, actor: string, now: Date): EventToAppend {
  const { workflowId, trigger } = draft.data;
  const time = draft.type === 'schedule.fired' ? draft.data.at : draft.data.from;
  const id = uuid5(draft.type, workflowId, trigger, time);
  return newEvent(draft, { id, orgId, actor, now, subject: `workflow/${workflowId}` });
}

export type Fired = DataOf<'schedule.fired'>;
