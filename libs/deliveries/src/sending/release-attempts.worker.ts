import type { DataSource } from 'typeorm';

import type { Progress, Table } from '#libs/event-store/src/subscriber.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import type { ClaimedWork, WorkDone, Worker, WorkQueue } from '#libs/persistence/src/claims/work.js';
import { inTransaction } from '#libs/persistence/src/transaction/in-transaction.adapter.js';

import { letGo, PACE, releaseHeld } from '../delivery/paced-attempts.adapter.js';
import type { WebhookTable } from '../webhook/webhook.table.js';

export interface ReleaseAttemptsParts {
  readonly database: DataSource;
  readonly progress: Progress;
  readonly webhooks: WebhookTable & Table;
  readonly work: WorkQueue;
}

/**
 * Holds the rate of webhooks that have one. One row of claimed work per webhook: whoever has it releases as many waiting
 * attempts as there are free places, in order, and looks again when the next place is free. All of it is one transaction, so
 * that no attempt is released twice or lost.
 */
export class ReleaseAttempts implements Worker {
  readonly queue = PACE;
  readonly concurrency = 16;
  readonly writes = [] as const;

  constructor(private readonly parts: ReleaseAttemptsParts) {}

  async run({ key: webhookId, position }: ClaimedWork): Promise<WorkDone> {
    const { database, progress, webhooks, work } = this.parts;
    // Settings that were changed before the event hold for it.
    await progress.whenProcessed(webhooks.name, position);
    const webhook = webhooks.get(webhookId);
    if (!webhook && webhooks.incomplete === true)
      throw new Transient('table.incomplete', `the table ${webhooks.name} could not process an event`);
    const rate = webhook?.settings.rateLimit;
    const againAfterMs = await inTransaction(database, async (tx) => {
      const released =
        webhook?.active === true && rate ? releaseHeld(tx, work, webhookId, rate) : letGo(tx, webhookId, !!rate);
      const { attempts, againAfterMs } = await released;
      await work.schedule(tx, attempts);
      if (againAfterMs === undefined) await work.remove(tx, PACE, [webhookId], position);
      crashPoint('deliveries.before-release');
      return againAfterMs;
    });
    crashPoint('deliveries.after-release');
    return { position, againAfterMs: againAfterMs ?? 1 };
  }
}
