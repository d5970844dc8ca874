import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { storable } from '#libs/kernel/src/text.js';

const INSERT = `
  insert into views.events (position, id, type, source, subject, org_id, timestamp, correlation, causation, stream, revision)
  select * from unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
                       $8::uuid[], $9::uuid[], $10::text[], $11::bigint[])
  on conflict (position) do nothing`;

/**
 * Keeps where every event is and what it is found by. It runs for all that is ever recorded, so it is one statement a
 * batch over arrays: measured against JSON records and single rows, that costs the least on both sides.
 */
export class EventIndex implements Subscriber {
  readonly name = followers.eventIndex;
  readonly reads = 'all' as const;
  readonly writes = [] as const;
  readonly batchSize = 2_000;

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const columns: [
      string[],
      string[],
      string[],
      string[],
      string[],
      string[],
      string[],
      string[],
      (string | null)[],
      string[],
      string[],
    ] = [[], [], [], [], [], [], [], [], [], [], []];
    for (const event of events) {
      const { source, subject, orgId, timestamp, $correlationId, $causationId } = event.metadata;
      columns[0].push(String(event.position));
      columns[1].push(event.id);
      columns[2].push(event.type);
      columns[3].push(storable(source));
      columns[4].push(storable(subject));
      columns[5].push(orgId);
      columns[6].push(timestamp);
      columns[7].push($correlationId);
      columns[8].push($causationId ?? null);
      columns[9].push(event.stream);
      columns[10].push(String(event.revision));
    }
    const manager = await context.transaction();
    await manager.query(INSERT, columns);
  }
}
