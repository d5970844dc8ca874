import { eventIdOf } from '#libs/events/src/envelope.js';
import { idsInStreams, streams } from '#libs/events/src/streams.js';
import type { Retainable } from '#libs/persistence/src/retainable.js';

/** Messages that are not done keep their events; rows of the others go with their attempts. */
export const retainedMessages: Retainable = {
  open: `select id as event, null::bigint as position, null::uuid as correlation from views.messages
          where id = any($2) and finished_at is null`,
  deletions: (kind, events) =>
    kind === 'attempts'
      ? [
          [
            'delete from views.messages where org_id = $1 and id = any($2::text[])',
            idsInStreams(streams.isMessage, events).map(eventIdOf),
          ],
        ]
      : [],
};
