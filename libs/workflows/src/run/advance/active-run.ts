import { WrongRevision } from '#libs/event-store/src/event-store.js';
import { readLast } from '#libs/event-store/src/reading.js';
import { retryWhileAway } from '#libs/event-store/src/retry-while-away.js';
import { actedBy, personalOf } from '#libs/events/src/envelope.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { uuid7, type Uuid } from '#libs/kernel/src/ids.js';

import { awaitingSteps } from '../../engine/open-requests.js';
import { decide, type Decision } from '../../engine/decide.js';
import type { RunDraft, World } from '../../engine/run-decision.js';
import { evolve, type StartedRun } from '../../engine/run-state.js';
import type { RequestOutcome } from '../../steps/kind/step-kind.js';
import type { OpenStep } from '../../steps/kind/step-state.js';
import { logFailures } from '../log-failures.js';
import { runEvents } from '../run-events.js';
import { IN_ORDER } from '../turns/turns.js';
import { Attempts } from './attempts.js';
import type { Known, RunPorts } from './run-ports.js';
import { SNAPSHOT_EVERY } from './run-snapshot.js';

/** How often outcomes are looked up while attempts keep the run busy. */
const LOOK_AGAIN_MS = 1_000;
const EARLY_MS = 60_000;
/** What somebody appends who pauses or resumes a run. */
const HOLDING: readonly string[] = ['run.paused', 'run.resumed', 'workflow.status_changed'];

/** A run that this process is busy with. */
export class ActiveRun {
  /** Part of the ids of what is appended: two owners never take each other's events for their own. */
  private readonly owner = uuid7();
  private readonly attempts: Attempts;
  private readonly first = this.known.first;
  private revision = this.known.revision;
  private position = this.known.position;
  private lastId = this.known.lastId;
  private personal = this.known.personal ?? this.first.metadata.personal;

  constructor(
    private readonly ports: RunPorts,
    private readonly known: Known,
    private run: StartedRun,
    private readonly signal: AbortSignal,
  ) {
    const { runId } = run.start;
    const attempted = { runId, orgId: this.first.metadata.orgId, secrets: known.definition.secrets };
    this.attempts = new Attempts(ports.makeAttempt, attempted, signal);
  }

  /** Asks for a place again, once there is something to do. */
  async wake(): Promise<{ position: bigint }> {
    const decision = decide(this.run, { ...(await this.world()), attempting: 'leave' });
    if (this.isEarly(decision)) await this.attempts.nextEnd(this.timeUntilNext(decision));
    if (this.signal.aborted) throw interrupted();
    const { runId, workflowId, workflow } = this.run.start;
    const status = { runId, workflowId, workflow, from: this.run.status, to: 'queued' };
    const queued = { type: 'workflow.status_changed', data: status };
    const data = { runId, concurrency: { ...this.run.concurrency!, ...IN_ORDER } };
    crashPoint('turns.before-wake');
    await this.unlessOutdated(() => this.append([{ type: 'run.woken', data }, queued], this.ports.clock.now()));
    crashPoint('turns.after-wake');
    return { position: this.position };
  }

  /** @param recorded what was decided and recorded already. */
  async untilIdle(recorded?: Decision): Promise<{ position: bigint }> {
    await this.unlessOutdated(async () => {
      await this.goOn(recorded);
      await this.saveSnapshot();
    });
    return { position: this.position };
  }

  private async goOn(recorded?: Decision): Promise<void> {
    try {
      for (let decisions = 1; ; decisions++) {
        const decision = decisions === 1 && recorded ? recorded : await this.decide();
        if (decision.run.held === undefined) this.attempts.keepOnly(decision.attempts);
        // What is under way ends and is recorded; nothing new begins.
        else if (!this.attempts.isBusy) break;
        if (decision.run.ended) break;
        if (decision.isUnfinished) continue;
        if (!this.attempts.isBusy && (decision.run.released || !(decisions === 1 && this.isEarly(decision)))) break;
        await this.attempts.nextEnd(this.timeUntilNext(decision));
        if (this.signal.aborted) throw interrupted();
      }
    } finally {
      this.attempts.stop();
    }
  }

  /** The next claim of a long run reads its stream from here. */
  private async saveSnapshot(): Promise<void> {
    const { run, revision, lastId: eventId, first, known } = this;
    const { snapshots } = this.ports;
    const isDue = revision - (known.savedRevision ?? first.revision) >= SNAPSHOT_EVERY;
    // Personal data stay in the log, where they are encrypted.
    if (!snapshots || run.ended || eventId === undefined || !isDue || this.personal) return;
    await snapshots.save({ run, revision, eventId, arrival: known.arrival ?? first.position });
    crashPoint('workflows.after-snapshot');
  }

  private async unlessOutdated(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      // Somebody else has appended: a cancellation, or a process that took over. Both make what we know outdated.
      if (!(error instanceof WrongRevision)) throw error;
      const newest = await readLast(this.ports.store, this.first.stream);
      this.position = newest?.position ?? this.position;
    }
  }

  private async world(): Promise<Omit<World, 'attempting'>> {
    // Taken before the look at the outcomes: a timer that is due afterwards fires at the next look.
    const now = this.ports.clock.now();
    const waiting = awaitingSteps(this.run.steps);
    const requests = waiting.flatMap(({ awaiting }) => awaiting);
    const isLast = isOverdue([...waiting, this.run], now);
    const outcomes =
      requests.length === 0 ? new Map<Uuid, RequestOutcome>() : await this.ports.outcomes(requests, isLast);
    ({ personal: this.personal } = personalOf({ personal: this.personal }, ...outcomes.values()));
    const { definition, about } = this.known;
    const { signLink, ownTypes } = this.ports;
    const { orgId } = this.first.metadata;
    return {
      definition,
      ...about,
      outcomes,
      now,
      ...(signLink && { signLink }),
      ...(ownTypes && { ownType: (type: string) => ownTypes.find(orgId, type) }),
    };
  }

  private async decide(): Promise<Decision> {
    const seen = await this.world();
    const results = this.attempts.ended();
    const world = { ...seen, attempting: this.attempts.paths() };
    const decision = decide(this.run, world, results);
    try {
      await this.append(decision.drafts, world.now);
    } catch (error) {
      if (!(error instanceof WrongRevision) || !(await this.wasHeld())) throw error;
      this.attempts.putBack(results);
      return this.decide();
    }
    if (results.length > 0) crashPoint('workflows.after-outcome');
    if (decision.drafts.some(({ type }) => type === 'run.attempt_failed')) crashPoint('workflows.after-attempt-failed');
    this.run = decision.run;
    return decision;
  }

  /** Whether the run was only paused or resumed meanwhile: then this process is still the one that is busy with it. */
  private async wasHeld(): Promise<boolean> {
    const from = this.revision + 1n;
    const newer = await this.ports.store.readStream(this.first.stream, { from, limit: 100 });
    if (newer.length === 0 || !newer.every(({ type }) => HOLDING.includes(type))) return false;
    for (const { id, type, data, metadata, revision, position } of newer) {
      this.run = evolve(this.run, { type, data, timestamp: metadata.timestamp }) as StartedRun;
      this.revision = revision;
      this.position = position;
      this.lastId = id;
    }
    return true;
  }

  /**
   * The row was due by the clock of the database, and by ours nothing is: given back, it would come again at once, until
   * the clocks agree.
   */
  private isEarly({ drafts, until }: Decision): boolean {
    if (until === undefined || drafts.length !== 1 || drafts[0]!.type !== 'run.rested') return false;
    return until.getTime() - this.ports.clock.now().getTime() < (this.ports.earlyMs ?? EARLY_MS);
  }

  /** Milliseconds until there may be something to do besides the attempts. */
  private timeUntilNext({ until }: Decision): number | undefined {
    const timer = until && Math.max(0, until.getTime() - this.ports.clock.now().getTime());
    const look = awaitingSteps(this.run.steps).length > 0 ? LOOK_AGAIN_MS : undefined;
    return timer === undefined ? look : Math.min(timer, look ?? timer);
  }

  private async append(drafts: readonly RunDraft[], now: Date): Promise<void> {
    if (drafts.length === 0) return;
    const { metadata } = this.first;
    const events = runEvents(
      drafts,
      this.first.id,
      // The first event of a run that an older version started does not name the workflow.
      {
        ...metadata,
        ...actedBy(metadata.causedBy, this.run.start.workflowId),
        ...(this.personal && { personal: this.personal }),
        actor: metadata.subject,
      },
      now,
      this.owner,
      this.revision,
    );
    const appended = await retryWhileAway(
      () => this.ports.store.append(this.first.stream, events, this.revision),
      this.signal,
      this.ports.retries,
    );
    this.revision = appended.revision;
    this.position = appended.position;
    this.lastId = events.at(-1)!.id;
    if (this.ports.log) logFailures(this.ports.log, events);
  }
}

const interrupted = (): Transient =>
  new Transient('run.interrupted', 'The process is stopping; another process continues the run.');

/** Whether a time limit of one of them is over, and it does not know yet. */
const isOverdue = (limited: readonly Partial<Pick<OpenStep, 'timer' | 'deadline'>>[], now: Date): boolean =>
  limited.some(({ timer, deadline }) =>
    [timer, deadline].some((one) => one !== undefined && !one.fired && Date.parse(one.at) <= now.getTime()),
  );
