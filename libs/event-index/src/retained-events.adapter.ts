import type { DataSource } from 'typeorm';

import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

/** Which streams of an organisation may be too old: by their first events. */
export interface OldStreams {
  readonly orgId: string;
  /** How their names begin. */
  readonly prefixes: readonly string[];
  readonly receivedBefore: Date;
  /** Exclusive, and inclusive. */
  readonly after: bigint;
  readonly upTo: bigint;
  readonly limit: number;
}

/** Streams whose first event was received before a time and is not removed yet, in the order of the log. */
export const oldStreams = (
  database: DataSource,
  { orgId, prefixes, receivedBefore, after, upTo, limit }: OldStreams,
): Promise<readonly { readonly stream: string; readonly position: string }[]> =>
  database.query(
    `select stream, position from views.events
      where org_id = $1 and revision = 0 and position > $2 and position <= $3 and received_at < $4
        and truncated is null and stream ^@ any($5::text[])
      order by position limit $6`,
    [orgId, String(after), String(upTo), receivedBefore.toISOString(), prefixes, limit],
  );

/** All events of some stories. */
export const eventsOfStories = (
  database: DataSource,
  correlations: readonly Uuid[],
): Promise<readonly { readonly position: string; readonly id: Uuid; readonly correlation: Uuid }[]> =>
  database.query('select position, id, correlation from views.events where correlation = any($1::uuid[])', [
    correlations,
  ]);

/** The index keeps where removed events were, so that their places in the tree can still be proved. */
export async function markTruncated(tx: ViewTransaction, orgId: string, positions: readonly bigint[]): Promise<void> {
  await tx.query('update views.events set truncated = true where org_id = $1 and position = any($2::bigint[])', [
    orgId,
    positions.map(String),
  ]);
}
