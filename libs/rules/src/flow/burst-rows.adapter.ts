import type { EntityManager } from 'typeorm';

import type { Work } from '#libs/persistence/src/work/work.js';

import { windowId } from './throttle.js';

/** The queue of bursts that will be over, and of what tells that they are. */
export const BURSTS = 'rules.bursts';

/** Matches of a rule with `debounce` that follow each other: what waits for its end. */
export interface Burst {
  readonly ruleId: string;
  /** Filled in; a hash where it is long. */
  readonly key: string;
  readonly orgId: string;
  /** Of the rule when it matched last. */
  readonly ruleName: string;
  readonly ruleVersion: number;
  /** The last event that matched. */
  readonly eventId: string;
  readonly position: bigint;
  /** Milliseconds since 1970, by the time at which the log took the events. */
  readonly startedAt: number;
  readonly dueAt: number;
}

/** What is to be told when a burst is over. */
export interface BurstTask {
  readonly ruleId: string;
  readonly key: string;
  readonly orgId: string;
  readonly eventId: string;
  /** Position of that event. */
  readonly last: string;
}

/** @param asOf position of the event that makes it due anew. */
export const taskOf = ({ ruleId, key, orgId, eventId, position, dueAt }: Burst, asOf: bigint): Work => ({
  queue: BURSTS,
  key: windowId(ruleId, key),
  dueAt: new Date(dueAt),
  payload: { ruleId, key, orgId, eventId, last: String(position) } satisfies BurstTask,
  position: asOf,
});

type Place = Pick<Burst, 'ruleId' | 'key'>;

/** In the transaction of the checkpoint, as the windows of throttles are. */
export async function loadBursts(tx: EntityManager, wanted: readonly Place[]): Promise<Map<string, Burst>> {
  if (wanted.length === 0) return new Map();
  const rows = await tx.query<
    (Omit<Burst, 'position' | 'startedAt' | 'dueAt'> & Record<'position' | 'startedAt' | 'dueAt', string>)[]
  >(
    `select rule_id as "ruleId", key, org_id as "orgId", rule_name as "ruleName", rule_version as "ruleVersion",
            event_id as "eventId", position, started_at as "startedAt", due_at as "dueAt"
       from views.rule_bursts
       join (select distinct * from unnest($1::text[], $2::text[]) as t(rule_id, key)) t using (rule_id, key)`,
    [wanted.map(({ ruleId }) => ruleId), wanted.map(({ key }) => key)],
  );
  return new Map(
    rows.map((row) => [
      windowId(row.ruleId, row.key),
      { ...row, position: BigInt(row.position), startedAt: Number(row.startedAt), dueAt: Number(row.dueAt) },
    ]),
  );
}

export async function saveBursts(tx: EntityManager, bursts: readonly Burst[]): Promise<void> {
  await tx.query(
    `insert into views.rule_bursts
       (rule_id, key, org_id, rule_name, rule_version, event_id, position, started_at, due_at)
     select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::text[], $7::bigint[],
                          $8::bigint[], $9::bigint[])
     on conflict (rule_id, key) do update
       set rule_name = excluded.rule_name, rule_version = excluded.rule_version, event_id = excluded.event_id,
           position = excluded.position, started_at = excluded.started_at, due_at = excluded.due_at`,
    [
      bursts.map(({ ruleId }) => ruleId),
      bursts.map(({ key }) => key),
      bursts.map(({ orgId }) => orgId),
      bursts.map(({ ruleName }) => ruleName),
      bursts.map(({ ruleVersion }) => ruleVersion),
      bursts.map(({ eventId }) => eventId),
      bursts.map(({ position }) => String(position)),
      bursts.map(({ startedAt }) => startedAt),
      bursts.map(({ dueAt }) => dueAt),
    ],
  );
}

export async function removeBursts(tx: EntityManager, bursts: readonly Place[]): Promise<void> {
  await tx.query(
    'delete from views.rule_bursts where (rule_id, key) in (select * from unnest($1::text[], $2::text[]))',
    [bursts.map(({ ruleId }) => ruleId), bursts.map(({ key }) => key)],
  );
}

/** Position of the last match of a burst; `undefined` if it is over. */
export async function lastOfBurst(
  database: Pick<EntityManager, 'query'>,
  { ruleId, key }: Place,
): Promise<bigint | undefined> {
  const [row] = await database.query<{ position: string }[]>(
    'select position from views.rule_bursts where rule_id = $1 and key = $2',
    [ruleId, key],
  );
  return row && BigInt(row.position);
}
