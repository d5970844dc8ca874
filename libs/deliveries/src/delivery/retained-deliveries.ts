import { idsInStreams, streams } from '#libs/events/src/streams.js';
import type { Retainable } from '#libs/persistence/src/retainable.js';

/** Deliveries that are not done keep their events; rows of the others go with their attempts. */
export const retainedDeliveries: Retainable = {
  open: `select event_id as event, null::bigint as position, null::uuid as correlation from views.deliveries
          where event_id = any($2) and status = 'pending'`,
  deletions: (kind, events) =>
    kind === 'attempts'
      ? [
          [
            'delete from views.deliveries where org_id = $1 and id = any($2::text[])',
            idsInStreams(streams.isDelivery, events),
          ],
        ]
      : [],
};
