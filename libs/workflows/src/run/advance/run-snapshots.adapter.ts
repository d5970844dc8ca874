import type { DataSource } from 'typeorm';

import type { Uuid } from '#libs/kernel/src/ids.js';

import { type RunSnapshot, type RunSnapshots, runInSnapshot, snapshotText } from './run-snapshot.js';

interface Row {
  readonly revision: string;
  readonly event_id: Uuid;
  readonly arrival: string;
  readonly state: string;
}

/** Snapshots in PostgreSQL. The projection of runs deletes them when a run ends. */
export class StoredRunSnapshots implements RunSnapshots {
  constructor(private readonly database: DataSource) {}

  async find(runId: string): Promise<RunSnapshot | undefined> {
    const [row] = await this.database.query<Row[]>(
      'select revision, event_id, arrival, state from views.run_snapshots where run_id = $1',
      [runId],
    );
    const run = row && runInSnapshot(row.state, runId);
    return run && { run, revision: BigInt(row.revision), eventId: row.event_id, arrival: BigInt(row.arrival) };
  }

  async save({ run, revision, eventId, arrival }: RunSnapshot): Promise<void> {
    const state = snapshotText(run);
    if (state === undefined) return;
    // Not for a run that has ended meanwhile: nobody would delete the row.
    await this.database.query(
      `insert into views.run_snapshots (run_id, revision, event_id, arrival, state)
       select $1::text, $2::bigint, $3::uuid, $4::bigint, $5::text
        where not exists (select 1 from views.runs where id = $1::text and ended_at is not null)
       on conflict (run_id) do update
         set (revision, event_id, arrival, state) = (excluded.revision, excluded.event_id, excluded.arrival, excluded.state)`,
      [run.start.runId, String(revision), eventId, String(arrival), state],
    );
  }
}
