import { typesOf } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';

import { Organisations } from '../organisations.js';
import { organisation } from './organisation.js';

export interface KnownOrganisation {
  readonly id: string;
  readonly name: string;
  /** RFC 3339 UTC. */
  readonly createdAt: string;
  readonly createdBy: string;
  readonly archived: boolean;
}

/** All organisations, in memory. */
export class OrganisationTable extends Organisations implements Table {
  readonly name = followers.organisations;
  readonly reads = typesOf(organisation);
  incomplete = false;
  private readonly byId = new Map<string, KnownOrganisation>();
  private listener: (() => void) | undefined;

  clear(): void {
    this.byId.clear();
  }

  apply(event: RecordedEvent): void {
    if (!event.is(...this.reads)) return;
    const { organisationId: id } = event.data;
    // The stream says who wrote.
    if (event.stream !== streams.organisation(id)) return;
    const known = this.byId.get(id);
    if (known) return this.change(known, event);
    if (!event.is('organisation.created')) return;
    const { timestamp, actor } = event.metadata;
    this.byId.set(id, { id, name: event.data.name, createdAt: timestamp, createdBy: actor, archived: false });
    this.listener?.();
  }

  private change(known: KnownOrganisation, event: RecordedEvent): void {
    if (event.is('organisation.renamed')) this.byId.set(known.id, { ...known, name: event.data.name });
    else if (event.is('organisation.archived', 'organisation.restored'))
      this.byId.set(known.id, { ...known, archived: event.type === 'organisation.archived' });
  }

  isArchived(orgId: string): boolean {
    return this.byId.get(orgId)?.archived === true;
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
