import { workflowAddress, workflowSecret } from '#libs/access/src/address-id.js';
import type { Secrets } from '#libs/access/src/secrets/secrets.js';
import { hasSeen } from '#libs/event-store/src/carry-out.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import type { WebhookUse, WorkflowDetails } from '#libs/events/src/shapes/workflow-shape.js';
import { streams } from '#libs/events/src/streams.js';

export type WorkflowWebhook = NonNullable<WorkflowDetails['webhook']>;

export interface WorkflowWebhooksParts {
  readonly store: EventStore;
  readonly secrets: Secrets;
  readonly progress: Progress;
  readonly publicUrl: string;
}

/** Whether a workflow has an integration of its own. */
export const hasOwn = (webhooks: readonly WebhookUse[]): boolean =>
  webhooks.some(({ integration }) => integration === undefined);

/** The integrations of workflows, as the answers about these show them. The stage that receives makes them. */
export class WorkflowWebhooks {
  constructor(private readonly parts: WorkflowWebhooksParts) {}

  async of(orgId: string, workflowId: string): Promise<WorkflowWebhook> {
    const { integrationId, slug } = await workflowAddress(orgId, workflowId, this.parts.secrets);
    return { integrationId, url: `${this.parts.publicUrl}/api/v1/webhooks/inbound/${slug}` };
  }

  /** Before a workflow is saved: with the secret, if the integration is still to be made. */
  async prepare(orgId: string, workflowId: string): Promise<WorkflowWebhook> {
    const { store, secrets } = this.parts;
    const shown = await this.of(orgId, workflowId);
    const made = await store.readStream(streams.integration(shown.integrationId), { limit: 1 });
    if (made.length > 0) return shown;
    const address = await workflowAddress(orgId, workflowId, secrets);
    return { ...shown, secret: await workflowSecret(orgId, address, secrets) };
  }

  /** Resolves when the integration receives, or when that takes too long. */
  async untilMade(position: bigint): Promise<void> {
    const { store, progress } = this.parts;
    if (await hasSeen(progress, followers.workflowIntegrations, position))
      await hasSeen(progress, followers.integrations, await store.head());
  }
}
