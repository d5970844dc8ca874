import { Inject, Injectable } from '@nestjs/common';

import { workflowAddress, workflowSecret } from '#libs/access/src/address-id.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { type Author, execute, fold } from '#libs/event-store/src/command-handlers.js';
import { EventStore, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import type { Subscriber } from '#libs/event-store/src/subscriber.js';
import { causedBy, ENGINE } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';

import {
  create,
  CreateIntegration,
  disable,
  DisableIntegration,
  enable,
  EnableIntegration,
  exists,
  integration,
} from '../integration/integration.js';

/**
 * Makes the integration of a workflow with a webhook trigger of its own, and disables it while no active version has one.
 * Its address follows from the workflow: all versions have the same, and a second try finds what the first one made.
 */
@Injectable()
export class MakeWorkflowIntegrations implements Subscriber {
  readonly name = followers.workflowIntegrations;
  readonly reads = ['workflow.activated', 'workflow.archived'] as const;
  readonly writes = ['integration.created', 'integration.enabled', 'integration.disabled'] as const;

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(Secrets) private readonly secrets: Secrets,
  ) {}

  async handle(events: readonly RecordedEvent[]): Promise<void> {
    for (const event of events) {
      if (!event.is(...this.reads) || event.stream !== streams.workflow(event.data.workflowId)) continue;
      const uses = event.is('workflow.activated') ? (event.data.webhooks ?? []) : [];
      if (uses.some((use) => use.integration === undefined)) await this.open(event);
      else await this.close(event);
    }
  }

  private async open(event: RecordedEvent<'workflow.activated' | 'workflow.archived'>): Promise<void> {
    const { store, clock } = this;
    const { workflowId, name } = event.data;
    const { orgId } = event.metadata;
    const address = await workflowAddress(orgId, workflowId, this.secrets);
    const { integrationId: id, slug, secretReference } = address;
    const author = authorOf(event);
    crashPoint('intake.before-workflow-integration');
    const settings = { name, config: {} };
    const provider = 'generic_webhook';
    if (!exists(await this.stateOf(id))) {
      await workflowSecret(orgId, address, this.secrets);
      const command = new CreateIntegration(
        id,
        author,
        provider,
        slug,
        settings,
        secretReference,
        undefined,
        workflowId,
      );
      await execute(store, clock, integration, create, command);
    } else await execute(store, clock, integration, enable, new EnableIntegration(id, author));
    crashPoint('intake.after-workflow-integration');
  }

  private async close(event: RecordedEvent<'workflow.activated' | 'workflow.archived'>): Promise<void> {
    const { store, clock } = this;
    const { integrationId: id } = await workflowAddress(event.metadata.orgId, event.data.workflowId, this.secrets);
    if (!exists(await this.stateOf(id))) return;
    await execute(store, clock, integration, disable, new DisableIntegration(id, authorOf(event)));
  }

  private async stateOf(id: string) {
    return fold(integration, await readWhole(this.store, integration.stream(id)));
  }
}

const authorOf = (event: RecordedEvent): Author => ({
  orgId: event.metadata.orgId,
  actor: ENGINE,
  cause: causedBy(event),
});
