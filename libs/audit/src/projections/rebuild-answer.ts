import type { RebuildAnswer } from '#libs/events/src/shapes/audit/projection-shape.js';
import type { RebuildView } from '#libs/persistence/src/rebuild/rebuild.view.js';

/** A rebuild as it is shown. */
export function rebuildAnswer(row: RebuildView): RebuildAnswer {
  const { id, projection, mode, status, requestedBy, requestedAt, endedAt, position, target, events, result } = row;
  const { differing, rows, error } = result ?? {};
  return {
    ...{ id, projection, mode, status, requestedBy, position, target },
    requestedAt: requestedAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
    events: Number(events),
    ...(differing !== undefined && { differing }),
    ...(rows && { rows }),
    ...(error !== undefined && { error }),
  };
}
