import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';
import type { WebhookRate } from '#libs/events/src/shapes/webhook-shape.js';
import { parseDuration } from '#libs/kernel/src/time/durations.js';
import type { Work, WorkQueue } from '#libs/persistence/src/claims/work.js';
import { jsonColumn } from '#libs/persistence/src/rows.adapter.js';

import { release } from '../webhook/rate-limit.js';
import { ATTEMPTS, type AttemptTask } from './delivery.js';

/**
 * Attempts of webhooks with a rate limit are not claimed work yet: they wait here in order, in the database, until one row of
 * claimed work per webhook ({@link PACE}) releases them. What is released keeps its row here for as long as it takes a place
 * of the rate.
 */

/** Name of the queue that releases attempts; its keys are webhooks. */
export const PACE = 'deliveries.pace';

/** In the order of the log, then of times: retries come in between. */
export const ORDER = 'due_at, position, delivery_id';

/** @returns those that did not have a row here yet. */
export async function hold(
  tx: ViewTransaction,
  attempts: readonly Work<AttemptTask>[],
): Promise<readonly Work<AttemptTask>[]> {
  if (attempts.length === 0) return [];
  const held = await tx.query<{ delivery_id: string }[]>(
    `insert into views.paced_attempts (delivery_id, attempt, webhook_id, due_at, position, payload)
     select * from unnest($1::text[], $2::int[], $3::text[], $4::timestamptz[], $5::bigint[], $6::json[])
     on conflict (delivery_id, attempt) do nothing returning delivery_id`,
    [
      attempts.map(({ key }) => key),
      attempts.map(({ payload }) => payload.attempt),
      attempts.map(({ payload }) => payload.webhookId),
      attempts.map(({ dueAt }) => dueAt.toISOString()),
      attempts.map(({ position }) => String(position)),
      attempts.map(({ payload }) => jsonColumn(payload)),
    ],
  );
  const ids = new Set(held.map((row) => row.delivery_id));
  return attempts.filter(({ key }) => ids.has(key));
}

/** Outcomes are recorded: from now on their places are taken for one period more. */
export function settlePlaces(
  tx: ViewTransaction,
  outcomes: readonly { readonly deliveryId: string; readonly attempt: number }[],
): void {
  if (outcomes.length === 0) return;
  const values = [outcomes.map(({ deliveryId }) => deliveryId), outcomes.map(({ attempt }) => attempt)];
  const given = 'unnest($1::text[], $2::int[]) as g (id, attempt) where p.delivery_id = g.id and p.attempt = g.attempt';
  // In this order: what is released at this moment is seen by the second statement.
  tx.write(`delete from views.paced_attempts p using ${given} and not p.released`, values);
  tx.write(
    `update views.paced_attempts p set settled_at = clock_timestamp() from ${given} and p.released and p.settled_at is null`,
    values,
  );
}

/** Removes attempts that wait and name this event as their cause. @returns their deliveries. */
export async function withdrawHeld(
  tx: ViewTransaction,
  rows: readonly { readonly key: string; readonly cause: string }[],
): Promise<readonly string[]> {
  if (rows.length === 0) return [];
  const [removed] = await tx.query<[{ delivery_id: string }[], number]>(
    `delete from views.paced_attempts p using unnest($1::text[], $2::text[]) as g (id, cause)
      where p.delivery_id = g.id and not p.released and p.payload -> 'cause' ->> 'id' = g.cause returning p.delivery_id`,
    [rows.map(({ key }) => key), rows.map(({ cause }) => cause)],
  );
  return removed.map((row) => row.delivery_id);
}

/** Lets the backlog of a webhook wait, which has a rate limit from now on. What has begun, or was released, goes on. */
export async function holdBacklog(tx: ViewTransaction, work: WorkQueue, webhookId: string): Promise<void> {
  for (let after: string | undefined = ''; after !== undefined;) {
    const taken = (await work.takeBack(tx, ATTEMPTS, webhookId, after)) as readonly Work<AttemptTask>[];
    after = taken.at(-1)?.key;
    // An earlier process may have sent it: look before sending.
    const backlog = taken.map((row) => ({ ...row, payload: { ...row.payload, late: true } }));
    const held = new Set(
      await hold(
        tx,
        backlog.filter(({ payload }) => payload.kind !== 'test'),
      ),
    );
    await work.schedule(
      tx,
      backlog.filter((row) => !held.has(row)),
    );
  }
}

export interface Released {
  readonly attempts: readonly Work<AttemptTask>[];
  /** Milliseconds until more may be released; `undefined` if nothing waits. */
  readonly againAfterMs: number | undefined;
}

interface HeldRow {
  readonly delivery_id: string;
  readonly due_at: Date;
  readonly position: string;
  readonly payload: AttemptTask;
}

/** Takes what may be sent now off the waiting line. Only one process at a time does it for a webhook. */
export async function releaseHeld(
  tx: ViewTransaction,
  work: WorkQueue,
  webhookId: string,
  rate: WebhookRate,
): Promise<Released> {
  lock(tx, webhookId);
  tx.write(
    `delete from views.paced_attempts
      where webhook_id = $1 and released and settled_at <= clock_timestamp() - $2::interval`,
    [webhookId, `${parseDuration(rate.per)} milliseconds`],
  );
  await freePlaces(tx, work, webhookId);
  const [taken] = await tx.query<[{ count: number; first: number | null; now: number }]>(
    `select count(*)::int as count, ${millisecondsOf('min(settled_at)')} as first, ${millisecondsOf('clock_timestamp()')} as now
       from views.paced_attempts where webhook_id = $1 and released`,
    [webhookId],
  );
  const { most, again } = release(rate, { count: taken.count, firstSettledAt: taken.first ?? undefined }, taken.now);
  const rows = most === 0 ? [] : await pick(tx, webhookId, most);
  const next = await nextDue(tx, webhookId);
  const waitUntil = rows.length < most ? 0 : again;
  return {
    attempts: inOrder(rows).map((row) => workOf(webhookId, row)),
    againAfterMs: next === undefined ? undefined : whole(Math.max(next, waitUntil) - taken.now),
  };
}

/** What is due much later is looked at again in between: times of rows are whole milliseconds of 32 bits. */
const LONGEST_MS = 86_400_000;
const whole = (milliseconds: number): number => Math.ceil(Math.min(LONGEST_MS, Math.max(1, milliseconds)));

/** What was released and will have no outcome takes no place: it was withdrawn, or is parked. */
async function freePlaces(tx: ViewTransaction, work: WorkQueue, webhookId: string): Promise<void> {
  const rows = await tx.query<{ delivery_id: string }[]>(
    'select delivery_id from views.paced_attempts where webhook_id = $1 and released and settled_at is null',
    [webhookId],
  );
  const unsettled = rows.map((row) => row.delivery_id);
  const unended = await work.unended(tx, ATTEMPTS, unsettled);
  const ended = unsettled.filter((id) => !unended.has(id));
  if (ended.length === 0) return;
  tx.write(
    'delete from views.paced_attempts where delivery_id = any ($1::text[]) and released and settled_at is null',
    [ended],
  );
}

/** So many are let go in one transaction. */
const CHUNK = 1_000;

/** Lets everything go that waits: the webhook has no limit any more, or is not sent anything. */
export async function letGo(tx: ViewTransaction, webhookId: string, hasRate: boolean): Promise<Released> {
  lock(tx, webhookId);
  if (!hasRate) tx.write('delete from views.paced_attempts where webhook_id = $1 and released', [webhookId]);
  const [rows] = await tx.query<[HeldRow[], number]>(
    `delete from views.paced_attempts where (delivery_id, attempt) in (
       select delivery_id, attempt from views.paced_attempts
        where webhook_id = $1 and not released order by ${ORDER} limit ${CHUNK})
     returning delivery_id, due_at, position, payload`,
    [webhookId],
  );
  const attempts = inOrder(rows).map((row) => workOf(webhookId, row));
  return { attempts, againAfterMs: rows.length === CHUNK ? 1 : undefined };
}

const lock = (tx: ViewTransaction, webhookId: string): void =>
  tx.write('select pg_advisory_xact_lock(hashtextextended($1, 53))', [`${PACE} ${webhookId}`]);

async function pick(tx: ViewTransaction, webhookId: string, most: number): Promise<readonly HeldRow[]> {
  const [rows] = await tx.query<[HeldRow[], number]>(
    `update views.paced_attempts set released = true where (delivery_id, attempt) in (
       select delivery_id, attempt from views.paced_attempts
        where webhook_id = $1 and not released and due_at <= clock_timestamp() order by ${ORDER} limit $2)
     returning delivery_id, due_at, position, payload`,
    [webhookId, most],
  );
  return rows;
}

async function nextDue(tx: ViewTransaction, webhookId: string): Promise<number | undefined> {
  const [row] = await tx.query<[{ next: number | null }]>(
    `select ${millisecondsOf('min(due_at)')} as next from views.paced_attempts where webhook_id = $1 and not released`,
    [webhookId],
  );
  return row.next ?? undefined;
}

/** As {@link ORDER}: a statement that writes gives its rows back in any order. */
const inOrder = (rows: readonly HeldRow[]): readonly HeldRow[] =>
  rows.toSorted((a, b) => a.due_at.getTime() - b.due_at.getTime() || Number(BigInt(a.position) - BigInt(b.position)));

const workOf = (webhookId: string, row: HeldRow): Work<AttemptTask> => ({
  queue: ATTEMPTS,
  key: row.delivery_id,
  dueAt: row.due_at,
  group: webhookId,
  payload: row.payload,
  position: BigInt(row.position),
});

export const millisecondsOf = (time: string): string => `(extract(epoch from ${time}) * 1000)::float8`;
