import type { EventToAppend } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { Cause, EventMetadata } from '#libs/events/src/envelope.js';
import { uuid5, type Uuid } from '#libs/kernel/src/ids.js';

import type { RunDraft } from '../engine/run-decision.js';

/** Events of a run as the log takes them. All have the cause of the run; without one, the run's first event is the cause. */
export function runEvents(
  drafts: readonly RunDraft[],
  firstId: Uuid,
  first: Pick<EventMetadata, 'orgId' | 'subject' | 'actor' | keyof Cause>,
  now: Date,
  owner: string,
  revision: bigint,
): readonly EventToAppend[] {
  const { orgId, subject, actor, $correlationId, $causationId = firstId, hop, causedBy, personal } = first;
  const cause: Cause = {
    $correlationId,
    $causationId,
    hop,
    ...(causedBy && { causedBy }),
    ...(personal && { personal }),
  };
  return drafts.map((draft, index) =>
    newEvent(draft, {
      id: draft.id ?? uuid5('run-event', subject, owner, String(revision + BigInt(index))),
      orgId,
      actor,
      now,
      cause,
      subject,
    }),
  );
}
