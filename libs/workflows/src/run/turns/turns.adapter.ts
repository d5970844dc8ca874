import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { DataSource } from 'typeorm';

import type { Work, WorkQueue } from '#libs/persistence/src/claims/work.js';

import { RUNS } from '../advance-run.worker.js';
import { type ConflictTask, CONFLICTS } from './end-conflicts.worker.js';
import { arrive, type Given, isArrival, leave, type Turn } from './turns.js';

interface Row {
  readonly run_id: string;
  readonly key: string;
  readonly place: string;
  readonly state: Turn['state'];
  readonly run_limit: number;
}
type KeptTurn = Turn & { readonly place: string };

/**
 * Gives runs that share a limit their turn: in the order of the log, in the transaction of the checkpoint. A run of such a
 * workflow has no work before, so no process can take it up.
 */
export async function giveTurns(
  tx: ViewTransaction,
  work: WorkQueue,
  events: readonly RecordedEvent[],
  position: bigint,
): Promise<void> {
  const steps = events.filter(
    (event) =>
      (isArrival(event) && event.data.concurrency !== undefined) ||
      isRelease(event) ||
      event.is('workflow.completed', 'workflow.failed', 'workflow.skipped', 'run.cancelled'),
  );
  if (steps.length === 0) return;
  const { keys, turns } = await load(tx, steps);
  const loaded = new Map(turns);
  const begin = new Set<string>();
  const conflicts = new Map<string, Work<ConflictTask>>();
  const ended: string[] = [];
  for (const event of steps) {
    const { runId } = event.data as { runId: string };
    const started = isArrival(event) ? event.data.concurrency! : undefined;
    const key = started?.key ?? keys.get(runId);
    // Who gives its place away while it waits has not ended: what was begun to cancel it goes on.
    if (isRelease(event)) begin.delete(runId);
    else if (!started) {
      if (key !== undefined || event.is('workflow.skipped', 'run.cancelled')) ended.push(runId);
      begin.delete(runId);
      conflicts.delete(runId);
    }
    if (key === undefined) continue;
    const before = turns.get(key) ?? [];
    if (started && before.some((turn) => turn.runId === runId)) continue;
    const given: Given = started ? arrive(before, runId, started) : leave(before, runId);
    const places = new Map(before.map((turn) => [turn.runId, turn.place]));
    turns.set(
      key,
      given.turns.map((turn) => ({ ...turn, place: places.get(turn.runId) ?? String(event.position) })),
    );
    for (const one of given.begin) begin.add(one);
    for (const one of given.conflicts)
      conflicts.set(one.runId, { queue: CONFLICTS, key: one.runId, dueAt: event.created, payload: one, position });
  }
  save(
    tx,
    [...loaded.values()].flat(),
    [...turns].flatMap(([key, some]) => some.map((turn) => ({ key, ...turn }))),
  );
  await work.remove(tx, CONFLICTS, ended);
  await work.schedule(tx, [
    ...[...begin].map((key) => ({ queue: RUNS, key, dueAt: events.at(-1)!.created, payload: {}, position })),
    ...conflicts.values(),
  ]);
}

const isRelease = (event: RecordedEvent): boolean => event.is('run.rested') && event.data.released === true;

/** Whether a run has the turn that it came for. @param arrival position of the event with which it came. */
export async function hasTurn(database: Pick<DataSource, 'query'>, runId: string, arrival: bigint): Promise<boolean> {
  const rows = await database.query<object[]>(
    `select 1 from views.run_turns where run_id = $1 and place = $2 and state <> 'queued'`,
    [runId, String(arrival)],
  );
  return rows.length > 0;
}

/** Everything of the keys that a batch is about. */
async function load(tx: ViewTransaction, steps: readonly RecordedEvent[]) {
  const arriving = steps.flatMap((event) => (isArrival(event) ? [event.data.concurrency!.key] : []));
  const ids = steps.map((event) => (event.data as { runId: string }).runId);
  const rows = await tx.query<Row[]>(
    `select run_id, key, place, state, run_limit from views.run_turns
      where key in (select unnest($1::text[]) union select key from views.run_turns where run_id = any($2::text[]))
      order by key, place`,
    [arriving, ids],
  );
  const keys = new Map(rows.map(({ run_id, key }) => [run_id, key]));
  for (const event of steps) if (isArrival(event)) keys.set(event.data.runId, event.data.concurrency!.key);
  const turns = new Map<string, readonly KeptTurn[]>();
  for (const { run_id: runId, key, place, state, run_limit: limit } of rows)
    turns.set(key, [...(turns.get(key) ?? []), { runId, place, state, limit }]);
  return { keys, turns };
}

/** Writes what has changed: a queue may be long, and most of it stays. */
function save(
  tx: ViewTransaction,
  before: readonly KeptTurn[],
  after: readonly (KeptTurn & { readonly key: string })[],
): void {
  const known = new Map(before.map((turn) => [turn.runId, turn]));
  const left = new Set(after.map(({ runId }) => runId));
  const gone = before.filter(({ runId }) => !left.has(runId)).map(({ runId }) => runId);
  const rows = after.filter(({ runId, place, state, limit }) => {
    const row = known.get(runId);
    return row?.place !== place || row.state !== state || row.limit !== limit;
  });
  if (gone.length > 0) tx.write('delete from views.run_turns where run_id = any($1::text[])', [gone]);
  if (rows.length === 0) return;
  tx.write(
    `insert into views.run_turns (run_id, key, place, state, run_limit)
     select * from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::int[])
     on conflict (run_id) do update
       set (key, place, state, run_limit) = (excluded.key, excluded.place, excluded.state, excluded.run_limit)`,
    [
      rows.map(({ runId }) => runId),
      rows.map(({ key }) => key),
      rows.map(({ place }) => place),
      rows.map(({ state }) => state),
      rows.map(({ limit }) => limit),
    ],
  );
}
