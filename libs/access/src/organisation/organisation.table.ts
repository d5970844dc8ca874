import { typesOf } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';

import { organisation } from './organisation.js';

export interface KnownOrganisation {
  readonly id: string;
  readonly name: string;
  /** RFC 3339 UTC. */
  readonly createdAt: string;
  readonly createdBy: string;
}

/** All organisations, in memory. */
export class OrganisationTable implements Table {
  readonly name = followers.organisations;
  readonly reads = typesOf(organisation);
  incomplete = false;
  private readonly byId = new Map<string, KnownOrganisation>();
  private listener: (() => void) | undefined;

  clear(): void {
    this.byId.clear();
  }

  apply(event: RecordedEvent): void {
    if (!event.is('organisation.created')) return;
    const { organisationId: id, name } = event.data;
    // The stream says who wrote.
    if (event.stream !== streams.organisation(id) || this.byId.has(id)) return;
    const { timestamp, actor } = event.metadata;
    this.byId.set(id, { id, name, createdAt: timestamp, createdBy: actor });
    this.listener?.();
  }

  /** Notifies code that must do something for each new one. */
  watch(listener: () => void): void {
    this.listener = listener;
  }

  get(id: string): KnownOrganisation | undefined {
    return this.byId.get(id);
  }

  /** In the order of their ids. */
  list(): readonly KnownOrganisation[] {
    return [...this.byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }
}
