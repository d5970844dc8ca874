import type { RecordedEvent } from '#libs/event-store/src/event-store.js';

import type { RunFailure } from '../engine/run.js';
import type { Definition, Step } from '../language/definition.js';

/** One step of a run, as people look at it. */
export interface TimelineStep {
  readonly path: string;
  readonly stepId: string;
  /** As the workflow names it for people. */
  readonly name?: string;
  status: 'running' | 'waiting' | 'completed' | 'failed' | 'skipped';
  startedAt: string;
  endedAt?: string;
  /** What the last attempt was given. */
  input?: unknown;
  output?: unknown;
  error?: RunFailure;
  readonly attempts: TimelineAttempt[];
  /** Of a wait, of a time limit, or of the next attempt. */
  readonly timers: { readonly purpose: string; readonly at: string; firedAt?: string }[];
}

export interface TimelineAttempt {
  readonly attempt: number;
  readonly startedAt: string;
  endedAt?: string;
  /** How often another process took it over. */
  resumed: number;
  error?: RunFailure;
}

/**
 * The steps of a run in the order in which they began, from its stream. Pure.
 * @param definition of the run's version, for the names of steps; without it they have none.
 */
export function timelineOf(events: readonly RecordedEvent[], definition?: Definition): readonly TimelineStep[] {
  const steps = new Map<string, TimelineStep>();
  for (const event of events) note(steps, event);
  const names = new Map(definition ? [...namesOf(definition.steps), ...namesOf(definition.onFailure)] : []);
  return [...steps.values()].map((step) => {
    const name = names.get(step.stepId);
    return name === undefined ? step : { ...step, name };
  });
}

function namesOf(steps: readonly Step[]): (readonly [id: string, name: string])[] {
  return steps.flatMap((step) => [
    ...(step.name === undefined ? [] : [[step.id, step.name] as const]),
    ...(step.kind === 'forEach' ? namesOf(step.steps) : []),
    ...(step.kind === 'switch' ? step.cases.flatMap((one) => namesOf(one.steps)) : []),
  ]);
}

function note(steps: Map<string, TimelineStep>, event: RecordedEvent): void {
  const { timestamp } = event.metadata;
  const { path, stepId } = event.data as { path?: string; stepId?: string };
  if (path === undefined || path === '') return;
  const step = (): TimelineStep => {
    let known = steps.get(path);
    if (!known) {
      const id = stepId ?? path.slice(path.lastIndexOf('.') + 1);
      known = { path, stepId: id, status: 'running', startedAt: timestamp, attempts: [], timers: [] };
      steps.set(path, known);
    }
    return known;
  };
  if (event.is('run.step_started')) {
    const { attempt, input } = event.data;
    Object.assign(step(), { status: 'running', input });
    step().attempts.push({ attempt, startedAt: timestamp, resumed: 0 });
  } else if (event.is('run.step_resumed')) {
    const last = step().attempts.at(-1);
    if (last) last.resumed++;
  } else if (event.is('run.attempt_failed')) {
    Object.assign(step(), { status: 'waiting' });
    Object.assign(step().attempts.at(-1) ?? {}, { endedAt: timestamp, error: event.data.error });
  } else if (event.is('run.step_awaiting')) Object.assign(step(), { status: 'waiting', input: event.data.input });
  else if (event.is('run.timer_set')) {
    const { purpose, at } = event.data;
    if (purpose === 'wait') step().status = 'waiting';
    step().timers.push({ purpose, at });
  } else if (event.is('run.timer_fired')) {
    const timer = step().timers.findLast(
      ({ purpose, firedAt }) => purpose === event.data.purpose && firedAt === undefined,
    );
    if (timer) timer.firedAt = timestamp;
  } else if (event.is('run.step_skipped')) Object.assign(step(), { status: 'skipped', endedAt: timestamp });
  else if (event.is('run.branch_taken', 'run.loop_entered')) step();
  else if (event.is('workflow.step_completed', 'workflow.error')) {
    const { output, startedAt } = event.data;
    const known = step();
    if (known.attempts.length === 0) known.startedAt = startedAt;
    Object.assign(known, { endedAt: timestamp, output, status: event.is('workflow.error') ? 'failed' : 'completed' });
    Object.assign(known.attempts.at(-1) ?? {}, { endedAt: timestamp });
    if (event.is('workflow.error')) {
      Object.assign(known, { error: event.data.error });
      Object.assign(known.attempts.at(-1) ?? {}, { error: event.data.error });
    }
  }
}
