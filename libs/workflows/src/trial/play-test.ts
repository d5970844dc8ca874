import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { derivedId, uuid5, type Uuid } from '#libs/kernel/src/ids.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { decide, type Decision } from '../engine/decide.js';
import type { RunDraft, SignLink } from '../engine/run-decision.js';
import { settleStep } from '../engine/settle-step.js';
import { evolve, type StartedRun, unknownRun, type RunState } from '../engine/run-state.js';
import { startRun } from '../engine/start-run.js';
import type { Definition, Step } from '../language/definition.js';
import { DEFAULT_TIMEOUT_MS, timedOut } from '../run/advance/attempts.js';
import { cancellation } from '../run/commands/cancel-run.js';
import { givenSecrets, maskedResult, unknownSecret } from '../steps/effects/step-secrets.js';
import { allSteps } from '../steps/registry.js';
import type { Attempt, AttemptResult, StepResult } from '../steps/kind/step-kind.js';
import { type Beginning, WORKFLOW_ID } from './beginning.js';
import { HeardEvents } from './heard-events.js';
import { ORG_ID, recorded } from './recorded.js';
import { parseSpan } from './spans.js';
import type { Mock, TestCase } from './test-shape.js';

/** A run that was played to its end, or until nothing more would happen. */
export interface Played {
  readonly run: RunState;
  /** Its stream. */
  readonly events: readonly RecordedEvent[];
  /** Virtual milliseconds that passed. */
  readonly elapsed: number;
  /** Ids of steps that have an effect and no mock; the run stopped there. */
  readonly unmocked: readonly string[];
}

/** The delays of the shipped configuration. */
const RETRY_SCHEDULE = ['1m', '5m', '30m', '2h', '24h'];
export const RUN_ID = derivedId('run', 'test');
/** No run takes more turns: one that never ends is cut off. */
const MAX_TURNS = 100_000;

/** The same in every run, so that a test can expect it. */
const signLink: SignLink = (decision, { path, approver = 'anybody' }) =>
  `https://millrace.example.com/links/${path}/${approver}/${decision}`;
/** Begin `onFailure` and `finally`. */
const PHASES: readonly string[] = ['run.recovery_started', 'run.finally_started'];

/** What requests have that concern a test. */
interface Requested {
  readonly requestedBy?: { readonly kind: string; readonly stepId: string };
  /** After which time the other stage begins. */
  readonly afterMs?: number;
  readonly secrets?: readonly { readonly name: string }[];
}

/** Something that happens at a virtual time. */
interface Due {
  readonly at: number;
  readonly path: string;
  readonly result: StepResult;
  /** Absent where the step waits for the outcome of a request. */
  readonly attempt?: Attempt;
  readonly requestId?: Uuid;
}

/**
 * Plays a run in virtual time, with the engine itself: what it decides is what happens on a server. Only the world around
 * it is another: steps with effects answer as the mocks say, and time moves once all of them have answered.
 */
export function playTest(definition: Definition, test: TestCase, beginning: Beginning): Played {
  return new PlayedRun(definition, test, beginning).played();
}

class PlayedRun {
  private readonly runId = this.test.runId ?? RUN_ID;
  private now = this.beginning.now.getTime();
  private run!: StartedRun;
  private readonly events: RecordedEvent[] = [];
  private readonly steps: ReadonlyMap<string, Step>;
  private readonly calls = new Map<string, number>();
  private readonly unmocked = new Set<string>();
  private due: Due[] = [];
  private readonly heard = new HeardEvents(this.test.events ?? [], this.beginning.now.getTime());
  private cancelAt =
    this.test.cancelAt === undefined ? Infinity : this.beginning.now.getTime() + parseSpan(this.test.cancelAt);

  constructor(
    private readonly definition: Definition,
    private readonly test: TestCase,
    private readonly beginning: Beginning,
  ) {
    this.steps = new Map(allSteps(stepsOf(definition)).map((step) => [step.id, step]));
  }

  played(): Played {
    const { trigger, inputs, event } = this.beginning;
    const { run, drafts } = startRun(
      {
        runId: this.runId,
        workflowId: WORKFLOW_ID,
        workflow: this.definition.name,
        version: 'test',
        trigger,
        inputs,
        ...(event && { event: { id: event.id, type: event.type, stream: 'test', revision: '0' } }),
        settings: { retrySchedule: [...(this.test.retrySchedule ?? RETRY_SCHEDULE)] },
        hop: 0,
      },
      new Date(this.now),
    );
    this.run = run;
    this.record(drafts);
    let results: readonly AttemptResult[] = [];
    for (let turns = 0; turns < MAX_TURNS; turns++) {
      const decision = this.decide(results);
      results = [];
      if (this.run.ended || this.unmocked.size > 0) break;
      if (decision.isUnfinished) continue;
      const until = decision.until?.getTime() ?? Infinity;
      const next = Math.min(until, this.heard.next(), this.cancelAt, ...this.due.map(({ at }) => at));
      if (next === Infinity) break;
      this.now = Math.max(this.now, next);
      if (this.now >= this.cancelAt) {
        this.cancel();
        continue;
      }
      this.heard.until(this.now, this.events);
      results = this.answers();
    }
    const elapsed = this.now - this.beginning.now.getTime();
    return { run: this.run ?? unknownRun, events: this.events, elapsed, unmocked: [...this.unmocked] };
  }

  /** Does not change a run whose steps are over: it ends by itself. */
  private cancel(): void {
    this.cancelAt = Infinity;
    if (this.run.ending) return;
    const drafts = cancellation(this.run, 'test', this.definition);
    const timestamp = new Date(this.now).toISOString();
    for (const draft of drafts) this.run = evolve(this.run, { ...draft, timestamp }) as StartedRun;
    this.record(drafts);
    this.due = [];
  }

  private about(): Pick<Beginning, 'event' | 'events'> {
    const { event, events } = this.beginning;
    return { event, ...(events && { events }) };
  }

  private decide(results: readonly AttemptResult[]): Decision {
    const attempting = new Set(this.due.flatMap(({ attempt, path }) => (attempt ? [path] : [])));
    for (const { attempt } of results) attempting.add(attempt.path);
    const { definition } = this;
    const world = {
      definition,
      ...this.about(),
      now: new Date(this.now),
      outcomes: this.heard.outcomes,
      attempting,
      signLink,
    };
    const decision = decide(this.run, world, results);
    this.run = decision.run;
    this.record(decision.drafts);
    const wanted = new Map(decision.attempts.map((attempt) => [attempt.path, attempt]));
    this.due = this.due.filter(({ attempt, path }) => !attempt || wanted.get(path)?.attempt === attempt.attempt);
    // What the steps waited for counts no longer once those of another phase run.
    if (decision.drafts.some(({ type }) => PHASES.includes(type))) this.due = this.due.filter(({ attempt }) => attempt);
    const busy = new Set(this.due.map(({ path }) => path));
    for (const attempt of decision.attempts) if (!busy.has(attempt.path)) this.begin(attempt);
    for (const draft of decision.drafts) if (draft.type === 'run.step_awaiting') this.await(draft, decision.drafts);
    this.needMocks(decision.drafts);
    return decision;
  }

  /** What has answered by now. Attempts are the engine's to judge; a request has the outcome that the mock says. */
  private answers(): readonly AttemptResult[] {
    const ready = this.due.filter(({ at }) => at <= this.now);
    this.due = this.due.filter(({ at }) => at > this.now);
    const results: AttemptResult[] = [];
    for (const { attempt, path, requestId, result } of ready) {
      if (attempt) {
        results.push({ attempt, ...result });
        continue;
      }
      const world = { definition: this.definition, ...this.about(), now: new Date(this.now) };
      const settled = settleStep(this.run, world, this.stepAt(path)!, path, requestId!, result);
      this.run = settled.run;
      this.record(settled.drafts);
    }
    return results;
  }

  private begin(attempt: Attempt): void {
    const mock = this.mockFor(attempt.path, attempt.step.id);
    if (!mock) return;
    const limit = attempt.step.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const delay = delayOf(mock);
    const due = { path: attempt.path, attempt };
    try {
      const { mask } = givenSecrets(attempt, new Map(Object.entries(this.test.secrets ?? {})));
      const result = delay > limit ? { thrown: timedOut(limit) } : maskedResult(mask, resultOf(mock));
      this.due.push({ ...due, at: this.now + Math.min(delay, limit), result });
    } catch (thrown) {
      this.due.push({ ...due, at: this.now, result: { thrown } });
    }
  }

  /** A step has asked another part of the platform for something, which may be asked to begin later. */
  private await({ data }: RunDraft, drafts: readonly RunDraft[]): void {
    const { path, requestId } = data as { path: string; requestId: Uuid };
    const { id } = this.stepAt(path)!;
    const wait = this.events.findLast((event) => event.id === requestId);
    if (wait?.is('run.wait_begun') && this.mocksOf(path, id) === undefined) return this.heard.begin(wait, this.events);
    const mock = this.mockFor(path, id);
    if (!mock) return;
    const request = drafts.find(({ id }) => id === requestId)?.data as Requested | undefined;
    const unknown = request?.secrets?.find(({ name }) => !Object.hasOwn(this.test.secrets ?? {}, name));
    const result = unknown ? { thrown: unknownSecret(unknown.name) } : resultOf(mock);
    this.due.push({ at: this.now + (request?.afterMs ?? 0) + delayOf(mock), path, requestId, result });
  }

  /** A detached step has its effect too, although nobody hears of the outcome. */
  private needMocks(drafts: readonly RunDraft[]): void {
    const awaited = new Set(drafts.map(({ data }) => (data as { requestId?: Uuid }).requestId));
    for (const { id, data } of drafts) {
      const { requestedBy } = data as Requested;
      if (requestedBy?.kind === 'run' && id !== undefined && !awaited.has(id))
        this.mockFor(requestedBy.stepId, this.stepAt(requestedBy.stepId)!.id);
    }
  }

  /** The answer to this call of the step. */
  private mockFor(path: string, stepId: string): Mock | undefined {
    const { key = stepId, mocks = [] } = this.mocksOf(path, stepId) ?? {};
    const calls = this.calls.get(key) ?? 0;
    this.calls.set(key, calls + 1);
    if (mocks.length === 0) this.unmocked.add(stepId);
    return mocks[Math.min(calls, mocks.length - 1)];
  }

  /** The mocks of one pass through a loop come before those of the step. */
  private mocksOf(path: string, stepId: string): { readonly key: string; readonly mocks: readonly Mock[] } | undefined {
    const { mocks = {} } = this.test;
    const key = [path, stepId].find((one) => Object.hasOwn(mocks, one));
    return key === undefined ? undefined : { key, mocks: [mocks[key]!].flat() };
  }

  private stepAt(path: string): Step | undefined {
    return this.steps.get(path.slice(path.lastIndexOf('.') + 1));
  }

  private record(drafts: readonly RunDraft[]): void {
    const now = new Date(this.now);
    for (const draft of drafts) {
      const revision = BigInt(this.events.length);
      const id = draft.id ?? uuid5('test', String(revision));
      const subject = draft.subject ?? `run/${this.runId}`;
      this.events.push(recorded(draft, { id, orgId: ORG_ID, actor: subject, now, subject }, revision));
    }
  }
}

export const stepsOf = ({ steps, onFailure, finally: last }: Definition): readonly Step[] => [
  ...steps,
  ...onFailure,
  ...(last?.steps ?? []),
];

const delayOf = ({ delay }: Mock): number => (delay === undefined ? 0 : parseSpan(delay));

function resultOf({ output = null, error }: Mock): StepResult {
  if (!error) return { output };
  const { message = `The mock fails with ${error.code}.`, retryable = true, ...more } = error;
  return { thrown: new StepError({ ...more, message, retryable }) };
}
