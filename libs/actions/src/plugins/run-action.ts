import { maskerOf, type NamedSecretValues } from '#libs/access/src/named-secrets/secret-values.js';
import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { type EventDraft, newEvent } from '#libs/event-store/src/new-event.js';
import { readAt } from '#libs/event-store/src/reading.js';
import { causedBy, eventIdOf } from '#libs/events/src/envelope.js';
import { withSecrets } from '#libs/events/src/secrets/secret-places.js';
import { shapeProblems } from '#libs/events/src/shapes/shape-check.js';
import { SUBJECT_ERASED } from '#libs/events/src/personal/field-path.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import type { Problem } from '#libs/kernel/src/errors.js';
import { rounded, withHeldNumbers } from '#libs/kernel/src/text/exact-json.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { type Log, silentLog } from '#libs/kernel/src/log.js';
import { noSooner } from '#libs/kernel/src/time/retry-after.js';
import { timeAfter } from '#libs/kernel/src/time/times.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';
import type { ActionDefinition } from '#libs/plugin-sdk/src/define-action.js';
import type { StepHttp } from '#libs/plugin-sdk/src/define-step.js';

import { type AttemptTask, queueOf, revisionBefore } from '../attempts/attempt-task.js';
import { attempted, type Ending } from '../attempts/attempt.js';

export const TIMEOUT_MS = 30_000;

export interface RunActionParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly http: StepHttp;
  /** Milliseconds before each attempt but the first. */
  readonly retrySchedule: readonly number[];
  readonly secrets: Pick<NamedSecretValues, 'of'>;
  readonly log?: Log;
  /** Shorter in tests. */
  readonly timeoutMs?: number;
}

type Requested = RecordedEvent<'action.requested'>;

/**
 * Makes one attempt of one action of a plug-in, and records what became of it. The outcome of an attempt has one place in
 * the stream of its request, so that a process that lost its claim meanwhile cannot record a second one.
 */
export class RunAction implements Worker<AttemptTask> {
  readonly queue: string;
  readonly concurrency = 16;
  readonly writes = ['action.completed', 'action.failed'] as const;

  constructor(
    private readonly action: ActionDefinition,
    private readonly parts: RunActionParts,
  ) {
    this.queue = queueOf(action.name);
  }

  async run(work: ClaimedWork<AttemptTask>, signal: AbortSignal): Promise<WorkDone> {
    const task = work.payload;
    // Also at the first claim: rows that were rebuilt from the log tell of what was done long ago.
    const recorded = await this.recordedBefore(task);
    if (recorded !== undefined) return { position: recorded };
    const request = await this.read(task);
    const startedAt = this.parts.clock.now();
    const ending = await this.attempt(task, request, signal);
    if (ending.kind === 'failed' && ending.bug !== undefined)
      this.log.error(
        { ...this.named(task), error: ending.bug },
        'an action of a plug-in failed with an unexpected error',
      );
    crashPoint('actions.after-effect');
    const done = await this.record(task, request, this.draftOf(task, request, ending, startedAt));
    crashPoint('actions.after-outcome');
    return done;
  }

  private async attempt(task: AttemptTask, request: Requested, signal: AbortSignal): Promise<Ending> {
    const { http, timeoutMs = TIMEOUT_MS } = this.parts;
    if (request.isErased) return NEEDS_ERASED;
    const { input: recorded, secrets = [] } = request.data;
    const names = secrets.map(({ name }) => name);
    const values = await this.parts.secrets.of(request.metadata.orgId, names);
    const missing = names.find((name) => !values.has(name));
    if (missing !== undefined) return noSecret(missing);
    const mask = maskerOf(values);
    const input = withHeldNumbers(withSecrets({ input: recorded }, secrets, values).input) as typeof recorded;
    const problems = shapeProblems(this.action.inputSchema, rounded(input), { prefix: 'action', hidesValues: true });
    if (problems.length > 0) return misfit(problems);
    crashPoint('actions.before-effect');
    const context = {
      // Without the attempt: after a time-out nobody knows whether the first one arrived.
      idempotencyKey: task.request,
      attempt: task.attempt,
      timeoutMs,
      http,
      log: (message: string, fields: object = {}) =>
        this.log.info({ ...mask.value(fields), ...this.named(task) }, mask.text(message)),
    };
    const run = (stop: AbortSignal) => this.action.run(input, { ...context, signal: stop });
    return mask.value(await attempted(run, timeoutMs, signal));
  }

  private draftOf(task: AttemptTask, { data, id }: Requested, ending: Ending, startedAt: Date): EventDraft {
    const { requestedBy, eventId } = data;
    const now = this.parts.clock.now();
    const about = {
      requestId: eventIdOf(id),
      request: { stream: task.stream, revision: task.revision },
      requestedBy,
      eventId,
      action: this.action.name,
      latencyMs: Math.max(0, now.getTime() - startedAt.getTime()),
    };
    if (ending.kind === 'done') {
      const { output, omitted } = ending;
      const data = { ...about, output, ...(omitted && { omitted }), attempts: task.attempt };
      return { type: 'action.completed', data };
    }
    const { error, retryable, retryAfter } = ending;
    const planned = retryable ? this.parts.retrySchedule[task.attempt - 1] : undefined;
    const failed = { ...about, attempt: task.attempt, error };
    if (planned === undefined) return { type: 'action.failed', data: { ...failed, final: true } };
    const nextAttemptAt = timeAfter(now, noSooner(planned, retryAfter)).toISOString();
    return { type: 'action.failed', data: { ...failed, final: false, nextAttemptAt } };
  }

  private async record(task: AttemptTask, request: Requested, draft: EventDraft): Promise<WorkDone> {
    const { store, clock } = this.parts;
    const { orgId, actor } = request.metadata;
    const event = newEvent(draft, {
      id: uuid5('actions.run', task.request, String(task.attempt)),
      orgId,
      actor,
      now: clock.now(),
      cause: causedBy(request),
      subject: `action/${this.action.name}`,
    });
    const stream = streams.action(task.request);
    const { position } = await appendOnce(store, stream, [event], revisionBefore(task.attempt));
    return { position };
  }

  /** Position of the newest outcome, if that of this attempt is in the log. */
  private async recordedBefore({ request, attempt }: AttemptTask): Promise<bigint | undefined> {
    const from = BigInt(attempt - 1);
    const events = await this.parts.store.readStream(streams.action(request), { from });
    return events.at(-1)?.position;
  }

  private async read({ request, stream, revision }: AttemptTask): Promise<Requested> {
    const event = await readAt(this.parts.store, stream, revision);
    if (event?.id === request && event.is('action.requested')) return event;
    throw new Error(`The request ${eventIdOf(request)} is no longer in the log.`);
  }

  private named({ request, attempt }: AttemptTask): object {
    return { action: this.action.name, request: eventIdOf(request), attempt };
  }

  private get log(): Log {
    return this.parts.log ?? silentLog;
  }
}

const NEEDS_ERASED: Ending = {
  kind: 'failed',
  error: { code: SUBJECT_ERASED, message: 'The request has fields of a person who was erased.' },
  retryable: false,
};

const noSecret = (name: string): Ending => ({
  kind: 'failed',
  error: { code: 'secret.unknown', message: `There is no secret "${name}". Set it: millrace secret set ${name}.` },
  retryable: false,
});

/** Most problems of one input that are recorded. */
const MOST = 20;

function misfit(problems: readonly Problem[]): Ending {
  const [first] = problems;
  const message = `The input is invalid: ${first!.pointer || '/'}: ${first!.detail}`;
  const told = problems.slice(0, MOST).map(({ pointer, detail }) => ({ pointer, detail }));
  return { kind: 'failed', error: { code: 'action.invalid_input', message, problems: told }, retryable: false };
}
