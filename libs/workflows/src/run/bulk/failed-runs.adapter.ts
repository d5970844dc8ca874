import type { DataSource, SelectQueryBuilder } from 'typeorm';

import type { RunFilter } from '#libs/events/src/shapes/run-shape.js';

import type { WorkflowTable } from '../../workflow/workflow.table.js';
import { RunView } from '../run.view.js';
import { narrow } from '../shown/run-filter.js';
import { type BulkRetryTask, FailedRuns } from './retry-runs.worker.js';

/** Failed runs among the rows. */
export class FailedRunRows extends FailedRuns {
  constructor(
    private readonly database: DataSource,
    private readonly workflows: WorkflowTable,
  ) {
    super();
  }

  override count(orgId: string, filter: RunFilter, before: Date): Promise<number> {
    return this.query(orgId, filter, before).getCount();
  }

  override async next({ orgId, filter, before, after }: BulkRetryTask, most: number) {
    const query = this.query(orgId, filter, new Date(before));
    if (after)
      query.andWhere('(run.startedAt, run.id) < (:at::timestamptz, :id)', { at: after.startedAt, id: after.id });
    const rows = await query.orderBy('run.startedAt', 'DESC').addOrderBy('run.id', 'DESC').limit(most).getMany();
    return rows.map(({ id, startedAt }) => ({ id, startedAt: startedAt.toISOString() }));
  }

  private query(orgId: string, filter: RunFilter, before: Date): SelectQueryBuilder<RunView> {
    const query = this.database
      .getRepository(RunView)
      .createQueryBuilder('run')
      .where('run.orgId = :orgId and run.endedAt <= :before', { orgId, before });
    narrow(query, { ...filter, status: 'failed' }, (labels) => this.workflows.labelled(orgId, labels));
    return query;
  }
}
