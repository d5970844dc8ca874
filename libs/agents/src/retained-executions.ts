import { idsInStreams, streams } from '#libs/events/src/streams.js';
import type { Retainable } from '#libs/persistence/src/retainable.js';

/** Executions that have not ended keep their events; rows of ended ones go with theirs. */
export const retainedExecutions: Retainable = {
  open: `select event_id as event, null::bigint as position, null::uuid as correlation from views.agent_executions
          where event_id = any($2) and finished_at is null`,
  deletions: (kind, events) => {
    if (kind !== 'runs') return [];
    const ids = idsInStreams(streams.isExecution, events);
    return [
      ['delete from views.agent_links where org_id = $1 and execution_id = any($2::text[])', ids],
      ['delete from views.agent_executions where org_id = $1 and id = any($2::text[])', ids],
    ];
  },
};
