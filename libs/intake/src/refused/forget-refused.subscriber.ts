import { Injectable } from '@nestjs/common';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';

/**
 * Where a person is erased, all refused requests of the organisation go: nobody can say whom a body that was not understood is
 * about.
 */
@Injectable()
export class ForgetRefused implements Subscriber {
  readonly name = followers.forgetRefused;
  readonly reads = ['subject.erased'] as const;
  readonly writes = [] as const;

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const times = new Map(events.map(({ metadata, created }) => [metadata.orgId, created.toISOString()]));
    const tx = await context.transaction();
    const values = [[...times.keys()], [...times.values()]];
    tx.write(
      `insert into views.refused_erasures as known (org_id, at) select * from unnest($1::text[], $2::timestamptz[])
       on conflict (org_id) do update set at = greatest(known.at, excluded.at)`,
      values,
    );
    tx.write(
      `delete from views.refused_requests r using unnest($1::text[], $2::timestamptz[]) erased (org_id, at)
        where r.org_id = erased.org_id and r.at <= erased.at`,
      values,
    );
  }
}
