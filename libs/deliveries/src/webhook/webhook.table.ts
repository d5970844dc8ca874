import type { PreviousSecret } from '#libs/access/src/secrets/secret-rotation.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { SliceTable } from '#libs/event-store/src/slice-table.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { isWide, typeMatcher } from '#libs/events/src/patterns.js';
import type { WebhookSettings } from '#libs/events/src/shapes/webhook-shape.js';
import { compile, type CompiledExpression } from '#libs/expressions/src/compile.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';

import { webhook } from './webhook.js';

/** An outbound webhook as the hot path needs it. Secrets are references. */
export interface KnownWebhook {
  readonly id: string;
  readonly orgId: string;
  readonly settings: WebhookSettings;
  readonly active: boolean;
  readonly secret: string;
  readonly previous: readonly PreviousSecret[];
  /** Whether it subscribes to events of a type. */
  readonly wants: (type: string) => boolean;
  /** The same, but for wide globs such as `*`. */
  readonly names: (type: string) => boolean;
  readonly filter: CompiledExpression | undefined;
}

/** All outbound webhooks that exist, in memory. */
export class WebhookTable implements Table {
  readonly name = followers.webhooks;
  private readonly states = new SliceTable(this.name, webhook);
  readonly reads = this.states.reads;
  private readonly byId = new Map<string, KnownWebhook>();
  /** Active ones by event type, worked out when a type is first seen: types that come from outside are bounded by nothing else. */
  private readonly byType = new BoundedMap<string, readonly KnownWebhook[]>(10_000);

  clear(): void {
    this.states.clear();
    this.byId.clear();
    this.byType.clear();
  }

  apply(event: RecordedEvent): void {
    const change = this.states.after(event);
    if (!change) return;
    this.states.put(change);
    this.byType.clear();
    const { id, state } = change;
    if (state.kind !== 'active' && state.kind !== 'disabled') {
      this.byId.delete(id);
      return;
    }
    const { orgId, settings, secret, previous } = state;
    const known = this.byId.get(id);
    const same = known?.settings === settings ? known : subscription(settings);
    this.byId.set(id, { ...same, id, orgId, secret, previous, active: state.kind === 'active' });
  }

  get(id: string): KnownWebhook | undefined {
    return this.byId.get(id);
  }

  /** Active webhooks of all organisations that subscribe to a type. */
  subscribedTo(type: string): readonly KnownWebhook[] {
    let found = this.byType.get(type);
    if (!found) {
      found = [...this.byId.values()].filter((webhook) => webhook.active && webhook.wants(type));
      this.byType.set(type, found);
    }
    return found;
  }
}

function subscription(settings: WebhookSettings) {
  return {
    settings,
    wants: typeMatcher(settings.events),
    names: typeMatcher(settings.events.filter((pattern) => !isWide(pattern))),
    filter: settings.filter === undefined ? undefined : compile(settings.filter),
  };
}
