import type { PreviousSecret } from '#libs/access/src/secrets/secret-rotation.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { SliceTable } from '#libs/event-store/src/slice-table.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { isWide, typeMatcher } from '#libs/events/src/patterns.js';
import type { WebhookSettings } from '#libs/events/src/shapes/webhook-shape.js';
import { compile, type CompiledExpression } from '#libs/expressions/src/compile.js';

import { WebhookIndex } from './webhook-index.js';
import { webhook } from './webhook.js';

/** An outbound webhook as the hot path needs it. Secrets are references. */
export interface KnownWebhook {
  readonly id: string;
  readonly orgId: string;
  readonly settings: WebhookSettings;
  readonly active: boolean;
  readonly secret: string;
  readonly previous: readonly PreviousSecret[];
  /** Among all webhooks, by their registration. */
  readonly order: number;
  /** Whether it subscribes to events of a type other than by a wide glob such as `*`. */
  readonly names: (type: string) => boolean;
  readonly filter: CompiledExpression | undefined;
}

/** All outbound webhooks that exist, in memory. */
export class WebhookTable implements Table {
  readonly name = followers.webhooks;
  private readonly states = new SliceTable(this.name, webhook);
  readonly reads = this.states.reads;
  private readonly byId = new Map<string, KnownWebhook>();
  /** The active ones. */
  private readonly index = new WebhookIndex<KnownWebhook>();
  private registered = 0;

  clear(): void {
    this.states.clear();
    this.byId.clear();
    this.index.clear();
    this.registered = 0;
  }

  apply(event: RecordedEvent): void {
    const change = this.states.after(event);
    if (!change) return;
    this.states.put(change);
    const { id, state } = change;
    const known = this.byId.get(id);
    if (known) this.index.remove(known);
    if (state.kind !== 'active' && state.kind !== 'disabled') {
      this.byId.delete(id);
      return;
    }
    const { orgId, settings, secret, previous } = state;
    const same = known?.settings === settings ? known : subscription(settings);
    const order = known?.order ?? this.registered++;
    const changed = { ...same, id, orgId, secret, previous, order, active: state.kind === 'active' };
    this.byId.set(id, changed);
    if (changed.active) this.index.add(changed);
  }

  get(id: string): KnownWebhook | undefined {
    return this.byId.get(id);
  }

  /** Whether an active webhook of any organisation subscribes to a type: for most events nothing else is looked at. */
  isSubscribed(type: string): boolean {
    return this.index.has(type);
  }

  /** Active webhooks of an organisation that subscribe to a type, in the order of their registration. */
  subscribedTo(type: string, orgId: string): readonly KnownWebhook[] {
    return this.index.of(type, orgId);
  }
}

function subscription(settings: WebhookSettings) {
  return {
    settings,
    names: typeMatcher(settings.events.filter((pattern) => !isWide(pattern))),
    filter: settings.filter === undefined ? undefined : compile(settings.filter),
  };
}
