import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { startTimer } from '#libs/kernel/src/time/timer.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { Attempt, AttemptResult } from '../../steps/kind/step-kind.js';

/** What is known of the run of an attempt. */
export interface AttemptedRun {
  readonly runId: string;
  readonly orgId: string;
  /** Names of all secrets of its workflow: none may be in what comes back. */
  readonly secrets: readonly string[];
}

/** Makes one attempt of one step of a run. */
export type MakeAttempt = (
  attempt: Attempt,
  run: AttemptedRun,
  timeoutMs: number,
  signal: AbortSignal,
) => Promise<unknown>;

/** An attempt that takes longer has failed, unless its step names another limit. */
export const DEFAULT_TIMEOUT_MS = 30_000;

/** Why the signal of an attempt that has ended aborts. One for all: the default reason is an error with a stack of its own. */
const OVER = new Error('The attempt is over.');

interface Busy {
  readonly attempt: Attempt;
  readonly controller: AbortController;
}

/** The attempts of one run that this process is busy with. */
export class Attempts {
  private readonly busy = new Map<string, Busy>();
  private results: AttemptResult[] = [];
  private wake: () => void = () => undefined;

  constructor(
    private readonly make: MakeAttempt,
    private readonly run: AttemptedRun,
    private readonly signal: AbortSignal,
  ) {}

  paths(): ReadonlySet<string> {
    return new Set(this.busy.keys());
  }

  /** Begins what is new, and stops what is no longer wanted: its result does not count. */
  keepOnly(wanted: readonly Attempt[]): void {
    const paths = new Map(wanted.map((attempt) => [attempt.path, attempt.attempt]));
    for (const [path, { attempt, controller }] of this.busy)
      if (paths.get(path) !== attempt.attempt) {
        this.busy.delete(path);
        controller.abort();
      }
    for (const attempt of wanted) if (!this.busy.has(attempt.path)) this.begin(attempt);
  }

  stop(): void {
    this.keepOnly([]);
  }

  get isBusy(): boolean {
    return this.busy.size > 0;
  }

  /** What has ended is to be looked at once more: it could not be recorded yet. */
  putBack(results: readonly AttemptResult[]): void {
    this.results.unshift(...results);
  }

  /** What has ended since the last call. */
  ended(): readonly AttemptResult[] {
    const { results } = this;
    this.results = [];
    for (const { attempt } of results) this.busy.delete(attempt.path);
    return results;
  }

  /** Resolves when an attempt has ended, `timeoutMs` has passed, or the process stops. */
  async nextEnd(timeoutMs: number | undefined): Promise<void> {
    if (this.results.length > 0 || this.signal.aborted) return;
    let stopTimer: () => void = () => undefined;
    const stop = () => this.wake();
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      if (timeoutMs !== undefined) stopTimer = startTimer(timeoutMs, resolve);
      this.signal.addEventListener('abort', stop, { once: true });
    });
    this.signal.removeEventListener('abort', stop);
    stopTimer();
    this.wake = () => undefined;
  }

  private begin(attempt: Attempt): void {
    const controller = new AbortController();
    const busy: Busy = { attempt, controller };
    this.busy.set(attempt.path, busy);
    const stop = () => controller.abort();
    this.signal.addEventListener('abort', stop, { once: true });
    const limit = attempt.step.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const report = (result: AttemptResult) => {
      stopTimer();
      this.signal.removeEventListener('abort', stop);
      // Stopped, or ended already: a step that goes on after its time is over is not heard.
      if (this.busy.get(attempt.path) !== busy || controller.signal.aborted) return;
      controller.abort(OVER);
      crashPoint('workflows.after-step');
      this.results.push(result);
      this.wake();
    };
    const stopTimer = startTimer(limit, () => report({ attempt, thrown: timedOut(limit) }));
    crashPoint('workflows.before-step');
    // A step that throws before its first await is a failed attempt like any other.
    Promise.resolve()
      .then(() => this.make(attempt, this.run, limit, controller.signal))
      .then(
        (output) => report({ attempt, output }),
        (thrown: unknown) => report({ attempt, thrown }),
      );
  }
}

/** What a step fails with whose attempt takes too long. */
export const timedOut = (limit: number): StepError =>
  new StepError({
    code: 'step.timeout',
    message: `The step took longer than its time limit of ${limit} ms.`,
    retryable: true,
  });
