import { idsInStreams, streams } from '#libs/events/src/streams.js';
import type { Retainable } from '#libs/persistence/src/retainable.js';

/** Runs that have not ended and groups of events that wait keep their events; rows of ended runs go with theirs. */
export const retainedRuns: Retainable = {
  open: `select event_id as event, null::bigint as position, correlation_id as correlation from views.runs
          where (correlation_id = any($1) or event_id = any($2)) and ended_at is null
         union all select found.id, null, null from unnest($2) found (id)
          where exists (select 1 from views.trigger_groups g where position(found.id in g.events::text) > 0)`,
  deletions: (kind, events) => {
    if (kind === 'decisions') {
      const ids = events.flatMap((event) =>
        event.is('trigger.evaluated') ? event.data.events.map(({ eventId }) => eventId) : [],
      );
      return [['delete from views.trigger_decisions where org_id = $1 and event_id = any($2::text[])', ids]];
    }
    if (kind !== 'runs') return [];
    const runs = idsInStreams(streams.isRun, events);
    const own = '(select id from views.runs where org_id = $1 and id = any($2::text[]))';
    return [
      [`delete from views.run_requests where run_id in ${own}`, runs],
      [`delete from views.run_snapshots where run_id in ${own}`, runs],
      ['delete from views.approvals where org_id = $1 and run_id = any($2::text[])', runs],
      ['delete from views.runs where org_id = $1 and id = any($2::text[])', runs],
    ];
  },
};
