import type { DataSource } from 'typeorm';

import type { EventStore } from '#libs/event-store/src/event-store.js';
import type { Quarantine } from '#libs/event-store/src/runner/quarantine.table.js';
import type { Projections } from '#libs/event-store/src/subscriber.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { ENGINE } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { messageOf, Transient } from '#libs/kernel/src/errors.js';
import type { Log } from '#libs/kernel/src/log.js';
import { beginning } from '#libs/kernel/src/text/text.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';
import { Rebuild, type RebuildMode, type RebuildResult } from '#libs/persistence/src/rebuild/rebuild.adapter.js';

import { endOf, endRebuild } from './rebuild-stream.js';

export interface RebuildTask {
  readonly projection: string;
  readonly mode: RebuildMode;
}

type Ended = Omit<DataOf<'projection.rebuild_ended'>, 'rebuildId' | 'projection' | 'mode'>;

export interface RebuildParts {
  readonly store: EventStore;
  readonly database: DataSource;
  readonly projections: Projections;
  readonly quarantine: Quarantine;
  readonly clock: Clock;
  readonly log: Log;
}

/** Makes the rows of projections from the log again. A process that dies is followed by one that goes on where it was. */
export class RebuildRows implements Worker<RebuildTask> {
  readonly queue = followers.rebuilds;
  readonly concurrency = 2;
  readonly writes = ['projection.rebuild_ended'] as const;

  constructor(private readonly parts: RebuildParts) {}

  async run({ key: rebuildId, payload }: ClaimedWork<RebuildTask>, signal: AbortSignal): Promise<WorkDone> {
    const { store, clock } = this.parts;
    const { projection, mode } = payload;
    const known = await endOf(store, projection, rebuildId);
    if (known) return { position: known.position };
    const ended = await this.rebuild(rebuildId, payload, signal);
    crashPoint('rebuild.after-swap');
    const data = { rebuildId, projection, mode, ...ended };
    return { position: await endRebuild(store, data, { actor: ENGINE, now: clock.now() }) };
  }

  private async rebuild(id: string, { projection, mode }: RebuildTask, signal: AbortSignal): Promise<Ended> {
    const { store, database, projections, quarantine, log } = this.parts;
    const found = projections.all.find(({ name }) => name === projection);
    if (!found) return { outcome: 'failed', error: `This version of the server has no projection ${projection}.` };
    try {
      return endedBy(await new Rebuild(database, store, found, { id, mode }, quarantine).run(signal));
    } catch (error) {
      if (error instanceof Transient || signal.aborted) throw error;
      log.error({ projection, rebuild: id, error }, 'a rebuild failed; the live rows stay');
      return { outcome: 'failed', error: beginning(messageOf(error), 2_000) };
    }
  }
}

function endedBy(result: RebuildResult): Ended {
  // Its end is in the log, or the process that goes on puts it there.
  if (result.kind === 'stopped')
    throw new Transient('rebuild.elsewhere', 'It was cancelled, or another process goes on.');
  const { events, position } = result;
  const place = { events, position: String(position) };
  if (result.kind === 'swapped') return { outcome: 'rebuilt', ...place };
  const { count, rows } = result;
  const named = rows.map((row) => ({ ...row, columns: [...row.columns] }));
  return { outcome: count === 0 ? 'same' : 'different', ...place, differing: count, rows: named };
}
