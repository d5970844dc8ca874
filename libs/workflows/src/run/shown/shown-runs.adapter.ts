import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { EventStore, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import type { ChildRun, RunAnswer, RunDetails, RunStatus } from '#libs/events/src/shapes/run-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { uuidOf } from '#libs/kernel/src/ids.js';

import { Definitions } from '../../workflow/definitions.js';
import { type ChangedRun, runNotFound } from '../commands/change-run.js';
import { rowOf } from '../run.projection.js';
import { RunView } from '../run.view.js';
import { timelineOf } from './timeline.js';

/** Runs as the API shows them: the row for lists, and what the stream tells beside it. */
@Injectable()
export class ShownRuns {
  constructor(
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(Definitions) private readonly definitions: Definitions,
  ) {}

  /** @throws Rejected `run.not_found` */
  async one(orgId: string, id: string): Promise<RunDetails> {
    if (uuidOf('run', id) === undefined) throw runNotFound(id);
    // Before the stream: a row that was read after it could have an end that the stream did not have yet.
    const stored = await this.database.getRepository(RunView).findOneBy({ id });
    const events = (await readWhole(this.store, streams.run(id))).filter((event) => event.isReadable);
    // Where no worker has written the row yet, the stream tells the same.
    const row = stored ?? rowOf(events);
    if (row?.orgId !== orgId) throw runNotFound(id);
    // Requests are in the run's own stream, unless retention has taken its start.
    const mayHaveChildren = events.some((event) => event.is('workflow.requested')) || events[0]?.revision !== 0n;
    const details = await this.details(row, events);
    await this.tellVotes(details, events);
    return { ...details, ...(mayHaveChildren && (await this.childrenOf(row))) };
  }

  /** What approvals that are open have so far: votes are in a stream of their own, so that two people can decide at once. */
  private async tellVotes({ status, timeline }: RunDetails, events: readonly RecordedEvent[]): Promise<void> {
    const waiting = new Map(timeline.flatMap((step) => (step.status === 'waiting' ? [[step.path, step]] : [])));
    const requests = new Map<string, DataOf<'approval.requested'>>();
    for (const event of events)
      if (event.is('approval.requested') && waiting.has(event.data.path)) requests.set(event.data.path, event.data);
    for (const [path, { requestId, count }] of requests) {
      const votes = await readWhole(this.store, streams.approval(requestId));
      const by = votes.flatMap((event) => (event.is('approval.voted') ? [event.data.by] : []));
      const decided = votes.find((event) => event.is('approval.decided'));
      const step = waiting.get(path)!;
      if (decided?.is('approval.decided')) {
        const next = status === 'paused' ? '; the run goes on when it is resumed' : '';
        step.waiting = `${decided.data.approved ? 'approved' : 'rejected'} by ${by.join(', ')}${next}`;
      } else if (by.length > 0 && step.waiting !== undefined)
        step.waiting = `${by.length} of ${count} approved (${by.join(', ')}); ${step.waiting}`;
    }
  }

  /** A run that has just begun, from its stream alone. */
  told(events: readonly RecordedEvent[]): Promise<RunDetails> {
    return this.details(rowOf(events)!, events);
  }

  /** A run as it is after a command, also where no worker brings the row up to date. */
  async changed(orgId: string, { position, run }: ChangedRun): Promise<RunDetails> {
    const isCurrent = await hasSeen(this.progress, followers.runViews, position);
    const shown = await this.one(orgId, run.start.runId);
    if (isCurrent) return shown;
    // What it waited for before the command is still in the row.
    const { until: _, ...rest } = shown;
    return { ...rest, status: run.status };
  }

  private async details(row: RunView, events: readonly RecordedEvent[]): Promise<RunDetails> {
    const definition = await this.definitions.find(row.workflowId, row.version);
    return { ...answerOf(row), ...detailsOf(events), timeline: timelineOf(events, definition) };
  }

  /** Runs that its steps asked for. The status of one that has not begun is not known. */
  private async childrenOf({ id, orgId }: RunView): Promise<{ children?: ChildRun[] }> {
    const rows = await this.database.query<(Omit<ChildRun, 'status'> & { status: RunStatus | null })[]>(
      `select c.child_id as id, c.workflow, c.path, r.status
         from views.run_children c left join views.runs r on r.id = c.child_id
        where c.parent_id = $1 and c.org_id = $2 order by c.position limit 1000`,
      [id, orgId],
    );
    if (rows.length === 0) return {};
    return { children: rows.map(({ status, ...child }) => (status === null ? child : { ...child, status })) };
  }
}

/** What is in the stream alone. */
function detailsOf(events: readonly RecordedEvent[]): Omit<RunDetails, keyof RunAnswer | 'children' | 'timeline'> {
  const started = events.find((event) => event.is('workflow.started'));
  const completed = events.find((event) => event.is('workflow.completed'));
  const cancelled = events.find(
    (event) => event.is('run.cancelled', 'run.finally_started') && event.data.by !== undefined,
  );
  const skipped = events.find((event) => event.is('workflow.skipped'));
  const because = started?.is('workflow.started') ? started.data.trigger.because : undefined;
  const restarted = started?.is('workflow.started') ? started.data.restartOf : undefined;
  const retries = events.flatMap((event) =>
    event.is('run.retried')
      ? [
          {
            at: event.metadata.timestamp,
            by: event.data.by,
            ...(event.data.version && { version: event.data.version }),
          },
        ]
      : [],
  );
  return {
    ...(started?.is('workflow.started') && started.data.parent && { parent: started.data.parent }),
    ...(because !== undefined && { because }),
    ...(restarted !== undefined && { restartOf: restarted }),
    ...(retries.length > 0 && { retries }),
    ...(skipped?.is('workflow.skipped') && {
      skipped: { reason: skipped.data.reason, detail: skipped.data.detail },
    }),
    ...pausesIn(events),
    inputs: started?.is('workflow.started') ? started.data.inputs : {},
    ...(completed?.is('workflow.completed') ? { outputs: completed.data.outputs } : {}),
    ...(cancelled?.is('run.cancelled', 'run.finally_started') ? { cancelledBy: cancelled.data.by } : {}),
  };
}

function pausesIn(events: readonly RecordedEvent[]): Pick<RunDetails, 'pauses'> {
  const pauses: NonNullable<RunDetails['pauses']> = [];
  for (const event of events) {
    const { timestamp: at } = event.metadata;
    if (event.is('run.paused')) pauses.push({ at, by: event.data.by });
    else if (event.is('run.blocked')) {
      pauses.push({ at, blocked: blockedBy(event.data) });
    } else if (event.is('run.resumed')) {
      const last = pauses.at(-1);
      if (last) Object.assign(last, { resumedAt: at, resumedBy: event.data.by });
    }
  }
  return pauses.length > 0 ? { pauses } : {};
}

/** Why a run is blocked, and what to do. */
function blockedBy({ runId, crashes, paths }: DataOf<'run.blocked'>) {
  const place = paths.length === 0 ? '' : ` at ${paths.join(', ')}`;
  const message = `${crashes} processes in a row died while they ran it${place}. Find the cause in the log of the server, mend it, and resume the run: POST /api/v1/runs/${runId}/resume. Or cancel the run.`;
  return { code: 'run.blocked' as const, message, crashes, paths };
}

/** A run in lists. */
export const answerOf = (row: RunView): RunAnswer => ({
  id: row.id,
  workflow: row.workflow,
  workflowId: row.workflowId,
  version: row.version,
  status: row.status,
  trigger: row.trigger,
  ...(row.eventId === null ? {} : { eventId: row.eventId }),
  ...(row.eventType === null ? {} : { eventType: row.eventType }),
  ...(row.correlationId === null ? {} : { correlationId: eventIdOf(row.correlationId) }),
  ...(row.error === null ? {} : { error: row.error }),
  // Of a run that is held or about to end, the time of what it waited for says nothing.
  ...(row.until === null || row.status !== 'waiting' ? {} : { until: row.until.toISOString() }),
  startedAt: row.startedAt.toISOString(),
  ...(row.endedAt === null ? {} : { endedAt: row.endedAt.toISOString() }),
});
