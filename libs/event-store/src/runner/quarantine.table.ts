import { eventUuidOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

import type { RecordedEvent } from '../event-store.js';
import type { Table } from '../subscriber.js';

/** Why an event is in quarantine, since when, and who put it there. */
export interface QuarantineMark {
  readonly orgId: string;
  readonly reason: string;
  readonly by: string;
  /** RFC 3339 UTC. */
  readonly at: string;
}

/**
 * Events that everything passes over, in memory in every process: subscribers that are behind, look-back, backtests. Those
 * who add to it bound its size.
 */
export class Quarantine implements Table {
  readonly name = followers.quarantine;
  readonly reads = ['event.quarantined', 'event.released'] as const;
  private readonly marks = new Map<Uuid, QuarantineMark>();

  clear(): void {
    this.marks.clear();
  }

  apply(event: RecordedEvent): void {
    if (event.is('event.quarantined')) {
      const { orgId, actor: by, timestamp: at } = event.metadata;
      this.marks.set(eventUuidOf(event.data.eventId)!, { orgId, reason: event.data.reason, by, at });
    } else if (event.is('event.released')) this.marks.delete(eventUuidOf(event.data.eventId)!);
  }

  get size(): number {
    return this.marks.size;
  }

  countOf(orgId: string): number {
    let count = 0;
    for (const mark of this.marks.values()) if (mark.orgId === orgId) count += 1;
    return count;
  }

  has(id: Uuid): boolean {
    return this.marks.has(id);
  }

  markOf(id: Uuid): QuarantineMark | undefined {
    return this.marks.get(id);
  }

  /** The events that are not in quarantine. */
  without(events: readonly RecordedEvent[]): readonly RecordedEvent[] {
    return this.marks.size === 0 ? events : events.filter(({ id }) => !this.marks.has(id));
  }
}
