import type { NamedSecretValues } from '#libs/access/src/named-secrets/secret-values.js';
import type { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import { readLast } from '#libs/event-store/src/reading.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { withHeldNumbers } from '#libs/kernel/src/text/exact-json.js';
import { uuid5, type Uuid } from '#libs/kernel/src/ids.js';
import { type Log, silentLog } from '#libs/kernel/src/log.js';
import type { ClaimedWork, Worker, WorkDone } from '#libs/persistence/src/claims/work.js';
import type { StepHttp } from '#libs/plugin-sdk/src/define-step.js';

import { RUN_EVENT_TYPES } from '../engine/decide.js';
import type { SignLink } from '../engine/run-decision.js';
import { givenSecrets, maskedResult } from '../steps/effects/step-secrets.js';
import { stepEventTypes } from '../steps/registry.js';
import type { Attempt, RequestOutcome, StepResult } from '../steps/kind/step-kind.js';
import type { Definitions } from '../workflow/definitions.js';
import { noteCrash } from './commands/hold-run.js';
import type { Cancellations } from './cancellations.js';
import type { AttemptedRun } from './advance/attempts.js';
import type { KnownRun } from './advance/run-ports.js';
import type { RunSnapshots } from './advance/run-snapshot.js';
import { runUntilIdle } from './advance/run-until-idle.js';

/** The queue of runs that have something to do; the key is the run's id. */
export const RUNS = 'workflows.run';

/** Empty in a row: what a run has to do follows from its stream. */
export interface RunTask {
  /** Of a run that was recorded here a moment ago: its stream need not be read. */
  readonly known?: KnownRun;
}

/** Where outcomes of requests are found. */
export interface Outcomes {
  /** @param isLast whether what is in the log by now must be found. */
  find(requests: readonly Uuid[], isLast: boolean): Promise<ReadonlyMap<Uuid, RequestOutcome>>;
}

/** Takes runs that are due, each as far as it goes. */
export class AdvanceRun implements Worker<RunTask> {
  readonly queue = RUNS;
  readonly concurrency = 128;
  readonly writes = [...RUN_EVENT_TYPES, 'run.crashed', 'run.blocked', 'run.woken', ...stepEventTypes('with attempts')];

  constructor(
    private readonly store: EventStore,
    private readonly clock: Clock,
    private readonly http: StepHttp,
    private readonly definitions: Definitions,
    private readonly outcomes: Outcomes,
    private readonly cancellations: Cancellations,
    private readonly signLink: SignLink,
    private readonly secrets: NamedSecretValues,
    private readonly ownTypes: Pick<OwnTypeTable, 'find'>,
    private readonly hasTurn: (runId: string, arrival: bigint) => Promise<boolean>,
    private readonly snapshots: RunSnapshots,
    private readonly log: Log = silentLog,
  ) {}

  async run(
    { key: runId, position, payload, crashes = 0 }: ClaimedWork<RunTask>,
    signal: AbortSignal,
  ): Promise<WorkDone> {
    if (crashes > 0) await noteCrash(this.store, runId, () => this.clock.now(), this.snapshots);
    // A row of a later event, such as a cancellation, is about a run that has gone on since.
    const known = payload.known && position <= payload.known.position ? payload.known : undefined;
    const done = await this.advance(runId, known, signal);
    // A run that is held rests, also where an outcome has woken it, until it is resumed: that is recorded later than this.
    return done.position > position ? done : { position: position + 1n };
  }

  private async advance(runId: string, known: KnownRun | undefined, signal: AbortSignal): Promise<WorkDone> {
    const cancelled = this.cancellations.watch(runId);
    try {
      return await runUntilIdle(
        {
          store: this.store,
          clock: this.clock,
          definition: (workflowId, version) => this.definitions.of(workflowId, version),
          outcomes: (requests, isLast) => this.outcomes.find(requests, isLast),
          makeAttempt: (attempt, run, timeoutMs, abort) => this.makeAttempt(attempt, run, timeoutMs, abort),
          hasTurn: this.hasTurn,
          snapshots: this.snapshots,
          log: this.log,
          signLink: this.signLink,
          ownTypes: this.ownTypes,
        },
        runId,
        AbortSignal.any([signal, cancelled]),
        known,
      );
    } catch (error) {
      if (signal.aborted || !cancelled.aborted) throw error;
      const newest = await readLast(this.store, streams.run(runId));
      return { position: newest!.position };
    } finally {
      this.cancellations.unwatch(runId);
    }
  }

  private async makeAttempt(
    attempt: Attempt,
    run: AttemptedRun,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<unknown> {
    const { uses, path, round, secrets } = attempt;
    // Those of the other steps too: a receiver may echo what an earlier step has sent.
    const names = [...run.secrets, ...secrets.map(({ name }) => name)];
    const { input, mask } = givenSecrets(attempt, await this.secrets.of(run.orgId, names));
    const context = {
      // Without the attempt: after a time-out nobody knows whether the first one arrived.
      idempotencyKey: uuid5('run-step', run.runId, path, ...(round > 0 ? [String(round)] : [])),
      attempt: attempt.attempt,
      timeoutMs,
      signal,
      http: this.http,
      log: (message: string, fields: object = {}) =>
        this.log.info({ ...mask.value(fields), run: run.runId, step: path, uses: uses.name }, mask.text(message)),
    };
    const result: StepResult = await uses.run(uses.keepsDigits ? input : withHeldNumbers(input), context).then(
      (output) => ({ output }),
      (thrown: unknown) => ({ thrown }),
    );
    const masked = maskedResult(mask, result);
    if ('thrown' in masked) throw masked.thrown;
    return masked.output;
  }
}
