import type { DataSource } from 'typeorm';

import type { DecisionSource, DecisionSources, WaitingRequest } from '#libs/event-index/src/decision-sources.js';
import { eventIdOf, eventUuidOf, executionIdOf } from '#libs/events/src/envelope.js';
import { PREFIXES, uuidOf } from '#libs/kernel/src/ids.js';

/** Says which requests wait for an agent that does not exist. */
export class MissingAgents implements DecisionSource {
  constructor(
    private readonly database: DataSource,
    sources: DecisionSources,
  ) {
    sources.add(this);
  }

  async waitingRequests(orgId: string, requests: readonly string[]): Promise<readonly WaitingRequest[]> {
    const ids = requests.flatMap((id) => eventUuidOf(id) ?? []).map(executionIdOf);
    const rows = await this.database.query<{ id: string; agent: string }[]>(
      `select id, agent from views.agent_executions
        where id = any($1) and org_id = $2 and agent_id is null and finished_at is null`,
      [ids, orgId],
    );
    return rows.map(({ id, agent }) => ({
      requestId: eventIdOf(uuidOf(PREFIXES.execution, id)!),
      waiting: 'agent.unknown',
      detail: `There is no agent "${agent}". The execution starts when it exists: millrace agent create.`,
    }));
  }
}
