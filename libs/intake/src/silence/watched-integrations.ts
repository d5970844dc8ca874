import { fold } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { parseDuration } from '#libs/kernel/src/durations.js';

import { type Integration, integration } from '../integration/integration.js';

/** An integration that says how often it is to be heard of. */
export interface Watched {
  readonly orgId: string;
  readonly name: string;
  readonly expectedEvery: string;
  readonly expectedMs: number;
}

/** Integrations that are enabled and say how often they expect something. */
export class WatchedIntegrations implements Table {
  readonly name = followers.watched;
  readonly reads = [
    'integration.created',
    'integration.updated',
    'integration.enabled',
    'integration.disabled',
    'integration.deleted',
  ] as const;
  private readonly states = new Map<string, Integration>();

  clear(): void {
    this.states.clear();
  }

  apply(event: RecordedEvent): void {
    const id = (event.data as unknown as { integrationId: string }).integrationId;
    const state = fold(integration, [event], this.states.get(id));
    if (state.kind === 'deleted') this.states.delete(id);
    else this.states.set(id, state);
  }

  get(id: string): Watched | undefined {
    const state = this.states.get(id);
    if (state?.kind !== 'active' || state.settings.expectedEvery === undefined) return undefined;
    const { name, expectedEvery } = state.settings;
    return { orgId: state.orgId, name, expectedEvery, expectedMs: parseDuration(expectedEvery) };
  }
}
