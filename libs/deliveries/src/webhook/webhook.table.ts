import type { PreviousSecret } from '#libs/access/src/secret-rotation.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { typeMatcher } from '#libs/events/src/patterns.js';
import type { WebhookSettings } from '#libs/events/src/shapes/webhook-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { compile, type CompiledExpression } from '#libs/expressions/src/compile.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';

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
  /** The same, but for the pattern `*`. */
  readonly names: (type: string) => boolean;
  readonly filter: CompiledExpression | undefined;
}

/** All outbound webhooks that exist, in memory. */
export class WebhookTable implements Table {
  readonly name = followers.webhooks;
  readonly reads = [
    'webhook.registered',
    'webhook.updated',
    'webhook.secret_rotated',
    'webhook.enabled',
    'webhook.disabled',
    'webhook.deleted',
  ] as const;
  private readonly byId = new Map<string, KnownWebhook>();
  /** Active ones by event type, worked out when a type is first seen: types that come from outside are bounded by nothing else. */
  private readonly byType = new BoundedMap<string, readonly KnownWebhook[]>(10_000);

  clear(): void {
    this.byId.clear();
    this.byType.clear();
  }

  apply(event: RecordedEvent): void {
    if (!event.is(...this.reads)) return;
    const { webhookId } = event.data;
    // Anybody may publish an event of a known type; what happens to a webhook is what its own stream says.
    if (event.stream !== streams.webhook(webhookId)) return;
    this.byType.clear();
    if (event.is('webhook.registered')) {
      const { secret, disabled, settings } = event.data;
      const { orgId } = event.metadata;
      this.byId.set(webhookId, {
        id: webhookId,
        orgId,
        secret,
        previous: [],
        active: !disabled,
        ...subscription(settings),
      });
      return;
    }
    const known = this.byId.get(webhookId);
    if (!known) return;
    if (event.is('webhook.updated')) this.byId.set(webhookId, { ...known, ...subscription(event.data.settings) });
    else if (event.is('webhook.secret_rotated'))
      this.byId.set(webhookId, { ...known, secret: event.data.secret, previous: event.data.previous });
    else if (event.is('webhook.enabled')) this.byId.set(webhookId, { ...known, active: true });
    else if (event.is('webhook.disabled')) this.byId.set(webhookId, { ...known, active: false });
    else this.byId.delete(webhookId);
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
    names: typeMatcher(settings.events.filter((pattern) => pattern !== '*')),
    filter: settings.filter === undefined ? undefined : compile(settings.filter),
  };
}
