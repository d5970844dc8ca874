import { Inject, Injectable } from '@nestjs/common';

import { appendOnce } from '#libs/event-store/src/append-once.js';
import { EventStore, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { Subscriber, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { causedBy, ENGINE, runIdOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { PREFIXES, uuid5 } from '#libs/kernel/src/ids.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';
import { type RowOf, upsertRows } from '#libs/persistence/src/rows.adapter.js';

import { Definitions } from '../workflow/definitions.js';
import { workflowIdOf } from '../workflow/workflow.js';
import type { RunSnapshots } from './advance/run-snapshot.js';
import { StoredRunSnapshots } from './advance/run-snapshots.adapter.js';
import { cancelRun } from './commands/cancel-run.js';
import { RunChildView } from './run.view.js';

const CONCURRENT = 16;

/** A run gives up what its steps wait for. */
const CLOSING = [
  'run.recovery_started',
  'run.finally_started',
  'run.cancelled',
  'workflow.failed',
  'workflow.completed',
] as const;
/** So does an execution of an agent. */
const CLOSING_AGENT = ['agent.failed', 'agent.cancelled'] as const;
const OVER = ['run.cancelled', 'workflow.failed', 'workflow.completed', 'workflow.skipped'] as const;

/** Which runs were asked for by steps of others, as rows; cancels those that are bound to a run that has ended before them, or withdraws them. */
@Injectable()
export class CloseChildren implements Subscriber {
  readonly name = followers.closeChildren;
  readonly reads = [
    'workflow.requested',
    'workflow.skipped',
    'run.request_withdrawn',
    ...CLOSING,
    ...CLOSING_AGENT,
  ] as const;
  readonly writes = [
    'action.refused',
    'run.request_withdrawn',
    'run.cancelled',
    'run.finally_started',
    'workflow.status_changed',
  ] as const;
  readonly gathers = true;

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(Definitions) private readonly definitions: Definitions,
    @Inject(StoredRunSnapshots) private readonly snapshots: RunSnapshots,
  ) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const requests = events.flatMap(childOf);
    const closing = new Map<string, RecordedEvent>();
    const withdrawn = new Map<string, RecordedEvent>();
    for (const event of events) {
      if (event.is(...CLOSING)) closing.set(event.data.runId, event);
      if (event.is(...CLOSING_AGENT)) closing.set(event.data.executionId, event);
      if (event.is('run.request_withdrawn') && event.data.request === 'workflow.requested')
        withdrawn.set(event.data.requestId, event);
    }
    if (requests.length + closing.size + withdrawn.size === 0) return;
    const tx = await context.transaction();
    await upsertRows(tx, RunChildView, requests, { onConflict: 'nothing' });
    await markOver(
      tx,
      events.flatMap((event) => (event.is(...OVER) ? [event.data.runId] : [])),
    );
    await inParallel(await bereft(tx, closing, [...withdrawn.keys()]), CONCURRENT, (child) =>
      this.close(child, withdrawn.get(child.request_id) ?? closing.get(child.parent_id)!),
    );
  }

  /**
   * The child may not have begun: then its stream is taken by a refusal, so that it never will. Of the two who want to be
   * the first in that stream one is; where that is the child, it is cancelled.
   */
  private async close(child: Bereft, by: RecordedEvent): Promise<void> {
    crashPoint('workflows.before-close');
    if (await this.cancel(child)) {
      crashPoint('workflows.after-close');
      return;
    }
    const { parent_id: parent, path } = child;
    const isRun = parent.startsWith(`${PREFIXES.run}_`);
    const data = {
      action: 'dispatch_workflow',
      reason: 'parent-ended',
      detail: `${isRun ? 'The run' : 'The execution'} ${parent} that requested this run no longer waits for it.`,
      eventId: '',
      ...(isRun && { requestedBy: { kind: 'run' as const, runId: parent, stepId: path } }),
    };
    const { orgId, subject } = by.metadata;
    const id = uuid5(followers.closeChildren, child.request_id);
    const cause = causedBy(by);
    const refusal = newEvent(
      { type: 'action.refused', data },
      { id, orgId, actor: ENGINE, now: this.clock.now(), cause, subject },
    );
    const { repeated } = await appendOnce(this.store, streams.run(child.child_id), [refusal]);
    if (repeated) await this.cancel(child);
    crashPoint('workflows.after-close');
  }

  /** @returns whether there is such a run, which then is over or about to be. */
  private async cancel({ child_id, parent_id, org_id }: Bereft): Promise<boolean> {
    try {
      await cancelRun(
        this.store,
        {
          runId: child_id,
          orgId: org_id,
          by: parent_id.startsWith(`${PREFIXES.run}_`) ? `run/${parent_id}` : `execution/${parent_id}`,
        },
        () => this.clock.now(),
        (workflowId, version) => this.definitions.find(workflowId, version),
        this.snapshots,
      );
      return true;
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      return error.code !== 'run.not_found';
    }
  }
}

function childOf(event: RecordedEvent): RowOf<RunChildView>[] {
  if (!event.is('workflow.requested')) return [];
  const { requestedBy, workflow, isChild = false } = event.data;
  const parent = parentOf(requestedBy, event.stream);
  if (!parent) return [];
  const { orgId } = event.metadata;
  return [
    {
      requestId: event.id,
      orgId,
      ...parent,
      childId: runIdOf(workflowIdOf(orgId, workflow), event.id),
      workflow,
      isBound: isChild,
      isOver: false,
      position: String(event.position),
    },
  ];
}

/** The stream says who asks. */
function parentOf(asker: DataOf<'workflow.requested'>['requestedBy'], stream: string) {
  if (asker.kind === 'run' && streams.isRun(stream)) return { parentId: asker.runId, path: asker.stepId };
  if (asker.kind === 'agent' && stream === streams.execution(asker.executionId))
    return { parentId: asker.executionId, path: '' };
  return undefined;
}

async function markOver(tx: ViewTransaction, runs: readonly string[]): Promise<void> {
  if (runs.length > 0) tx.write('update views.run_children set is_over = true where child_id = any($1)', [runs]);
}

interface Bereft {
  readonly request_id: string;
  readonly org_id: string;
  readonly parent_id: string;
  readonly path: string;
  readonly child_id: string;
}

/** Children that are not over, and were asked for before their parent gave up, or that it has withdrawn. */
async function bereft(
  tx: ViewTransaction,
  closing: ReadonlyMap<string, RecordedEvent>,
  withdrawn: readonly string[],
): Promise<readonly Bereft[]> {
  if (closing.size + withdrawn.length === 0) return [];
  return tx.query<Bereft[]>(
    `select c.request_id, c.org_id, c.parent_id, c.path, c.child_id
       from views.run_children c join unnest($1::text[], $2::bigint[]) as p (id, position) on p.id = c.parent_id
      where c.is_bound and not c.is_over and c.position < p.position
     union
     select request_id, org_id, parent_id, path, child_id from views.run_children
      where request_id = any($3::uuid[]) and is_bound and not is_over`,
    [[...closing.keys()], [...closing.values()].map(({ position }) => String(position)), withdrawn],
  );
}
