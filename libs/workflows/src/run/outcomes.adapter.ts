import type { DataSource } from 'typeorm';

import type { EventStore } from '#libs/event-store/src/event-store.js';
import { readAt } from '#libs/event-store/src/reading.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { personalOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

import { requestOutcomes } from '../steps/registry.js';
import type { RequestOutcome } from '../steps/kind/step-kind.js';
import type { Outcomes } from './advance-run.worker.js';

/** Outcomes that `workflows.runs` has noted; their data is read from the log. */
export class NotedOutcomes implements Outcomes {
  constructor(
    private readonly database: DataSource,
    private readonly store: EventStore,
    private readonly progress: Progress,
  ) {}

  async find(requests: readonly Uuid[], isLast: boolean): Promise<ReadonlyMap<Uuid, RequestOutcome>> {
    if (isLast) await this.settle();
    const rows = await this.database.query<{ request_id: string; stream: string; revision: string }[]>(
      `select request_id, outcome_stream as stream, outcome_revision as revision
         from views.run_requests where request_id = any($1::uuid[]) and outcome_stream is not null`,
      [requests],
    );
    const found = await Promise.all(
      rows.map(async ({ request_id, stream, revision }) => {
        const event = await readAt(this.store, stream, revision);
        return event?.is(...requestOutcomes)
          ? ([
              [request_id, { type: event.type, data: event.data, ...personalOf(event.metadata) } as RequestOutcome],
            ] as const)
          : [];
      }),
    );
    return new Map(found.flat());
  }

  /** Until what is in the log has answered the waits that it answers, and the answers are noted. */
  private async settle(): Promise<void> {
    for (const name of [followers.answerWaits, followers.runViews])
      await this.progress.whenProcessed(name, await this.store.head());
  }
}
