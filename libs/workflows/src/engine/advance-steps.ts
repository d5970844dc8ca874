import { eventIdOf } from '#libs/events/src/envelope.js';
import { tryParseDuration } from '#libs/kernel/src/durations.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { unreachable } from '#libs/kernel/src/unreachable.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import type {
  ComputedStep,
  EffectfulStep,
  EmitStep,
  ForEachStep,
  RedeliverStep,
  Step,
  SwitchStep,
  WaitStep,
} from '../language/definition.js';
import { engineSteps } from '../language/engine-steps.js';
import { MAX_ITEMS } from '../language/grammar.js';
import { isTime } from '../language/literals.js';
import { emitted } from './emitted.js';
import { redelivered } from './outcome.js';
import { failureOf, type Progress, type Turn } from './run-decision.js';
import { isOpen, stepIn, type StepState } from './run.js';
import { itemOf, type Room } from './scope.js';
import { evaluating, inputFor } from './step-input.js';
import { itemPath, pathOf } from './step-path.js';

/** Each claim reads the whole stream of a run: without a limit, loops inside loops would make it endless. */
const MAX_RUN_STEPS = 5_000;
const MAX_STEPS_AND_RECOVERY = MAX_RUN_STEPS + 500;

/** Walks steps from the first, passes over what is done, and does what can be done now. */
export function walk(turn: Turn, steps: readonly Step[], room: Room): Progress {
  for (const step of steps) {
    const progress = take(turn, step, room);
    if (progress !== 'done') return progress;
  }
  return 'done';
}

function take(turn: Turn, step: Step, room: Room): Progress {
  const path = pathOf(room.prefix, step.id);
  const before = turn.stateOf(step, room);
  if (before !== undefined && !isOpen(before))
    return before.state === 'failed' && !before.continued ? { failed: before.error } : 'done';
  if (turn.isLong) {
    turn.unfinished = true;
    return 'open';
  }
  if (before === undefined && turn.run.ends >= (turn.run.failing ? MAX_STEPS_AND_RECOVERY : MAX_RUN_STEPS))
    return { failed: { code: 'run.too_long', message: `A run has at most ${MAX_RUN_STEPS} steps.`, path } };
  try {
    if (before === undefined) {
      if (step.condition && !evaluating(() => step.condition!.test(turn.scope(room)))) {
        turn.record('run.step_skipped', { runId: turn.of.runId, path, stepId: step.id });
        return 'done';
      }
      // The time limit of an effect is watched by whoever does it, for each attempt by itself.
      if (step.timeoutMs !== undefined && step.kind !== 'effect' && step.kind !== 'pure' && step.kind !== 'emit')
        turn.timer(path, 'timeout', step.timeoutMs);
    }
    const progress = byKind(turn, step, room, path);
    return progress === 'open' ? limited(turn, step, room, path) : progress;
  } catch (error) {
    return turn.failed(step, room, path, failureOf(error, path), error instanceof StepError ? error.output : null);
  }
}

function byKind(turn: Turn, step: Step, room: Room, path: string): Progress {
  switch (step.kind) {
    case 'pure':
      return computed(turn, step, room, path);
    case 'effect':
      return effect(turn, step, room, path);
    case 'emit':
      return emit(turn, step, room, path);
    case 'redeliver':
      return redeliver(turn, step, room, path);
    case 'wait':
      return wait(turn, step, room, path);
    case 'switch':
      return branch(turn, step, room, path);
    case 'forEach':
      return forEach(turn, step, room, path);
    default:
      return unreachable(step);
  }
}

function computed(turn: Turn, step: ComputedStep, room: Room, path: string): Progress {
  const output = step.uses.run(inputFor(step.input, step.uses.inputSchema, turn.scope(room)));
  return turn.completed(step, room, path, output);
}

function effect(turn: Turn, step: EffectfulStep, room: Room, path: string): Progress {
  const { effects } = turn.world;
  if (effects === 'leave') {
    turn.unfinished = true;
    return 'open';
  }
  const { runId } = turn.of;
  const state = turn.stateOf(step, room);
  if (state?.state === 'attempting') {
    const { attempt, input } = state;
    if (!effects.has(path)) turn.record('run.step_resumed', { runId, path, attempt });
    turn.attempts.push({ path, step, attempt, input });
    return 'open';
  }
  if (state?.state === 'resting' && !turn.due(path, 'retry', state.timer)) return 'open';
  const attempt = state !== undefined && isOpen(state) ? state.attempt : 1;
  const input = inputFor(step.input, step.uses.inputSchema, turn.scope(room));
  turn.record('run.step_started', { runId, path, stepId: step.id, attempt, input });
  turn.attempts.push({ path, step, attempt, input });
  return 'open';
}

function emit(turn: Turn, step: EmitStep, room: Room, path: string): Progress {
  const { type, subject, data } = emitted(inputFor(step.input, engineSteps['emit']!.inputSchema, turn.scope(room)));
  const id = uuid5('run-emit', turn.of.runId, path);
  // In the run's own stream: one append, so that the event and the step's end are there together or not at all.
  turn.push({ type, data, id, ...(subject === undefined ? {} : { subject }) });
  return turn.completed(step, room, path, { eventId: eventIdOf(id) });
}

function redeliver(turn: Turn, step: RedeliverStep, room: Room, path: string): Progress {
  const state = turn.stateOf(step, room);
  if (state?.state === 'awaiting') {
    const outcome = turn.world.outcomes.get(state.requestId);
    if (outcome) return turn.completed(step, room, path, redelivered(outcome));
    turn.awaiting.push(state.requestId);
    return 'open';
  }
  const { runId } = turn.of;
  const input = inputFor(step.input, engineSteps['redeliver_webhook']!.inputSchema, turn.scope(room));
  const requestId = uuid5('run-request', runId, path);
  turn.record(
    'webhook.redelivery_requested',
    {
      requestedBy: { kind: 'run', runId, stepId: path },
      deliveryId: String(input['delivery']),
      afterMs: tryParseDuration(typeof input['after'] === 'string' ? input['after'] : '0ms') ?? 0,
    },
    { id: requestId },
  );
  turn.record('run.step_awaiting', { runId, path, stepId: step.id, requestId, input });
  turn.awaiting.push(requestId);
  return 'open';
}

function wait(turn: Turn, step: WaitStep, room: Room, path: string): Progress {
  if (turn.stateOf(step, room)?.state !== 'sleeping') turn.timer(path, 'wait', lengthOf(turn, step, room));
  const state = turn.stateOf(step, room);
  if (state?.state !== 'sleeping' || !turn.due(path, 'wait', state.timer)) return 'open';
  return turn.completed(step, room, path, { until: state.timer.at });
}

/** Milliseconds; a time that is over is no wait at all. */
function lengthOf(turn: Turn, step: WaitStep, room: Room): number {
  const given = evaluating(() => (step.for ?? step.until)!.render(turn.scope(room)));
  const text = typeof given === 'string' ? given.trim() : '';
  if (step.for === undefined && isTime(text)) return Math.max(0, Date.parse(text) - turn.world.now.getTime());
  const length = step.for === undefined ? undefined : tryParseDuration(text);
  if (length !== undefined) return length;
  throw new StepError({
    code: 'wait.bad_time',
    message: `${JSON.stringify(given)} is not ${step.for ? 'a duration such as 30s or 5m' : 'a time such as 2026-11-20T09:00:00Z'}.`,
    retryable: false,
  });
}

function branch(turn: Turn, step: SwitchStep, room: Room, path: string): Progress {
  if (turn.stateOf(step, room)?.state !== 'branching') {
    const scope = turn.scope(room);
    const taken = step.cases.findIndex((one) => evaluating(() => one.condition?.test(scope) ?? true));
    turn.record('run.branch_taken', { runId: turn.of.runId, path, stepId: step.id, case: taken });
  }
  const state = turn.stateOf(step, room);
  const taken = state?.state === 'branching' ? state.branch : -1;
  const progress = walk(turn, step.cases[taken]?.steps ?? [], room);
  if (progress === 'done') return turn.completed(step, room, path, { case: taken < 0 ? null : taken });
  return progress === 'open' ? 'open' : turn.failed(step, room, path, progress.failed, null);
}

function forEach(turn: Turn, step: ForEachStep, room: Room, path: string): Progress {
  const items = itemsOf(turn, step, room);
  if (turn.stateOf(step, room)?.state !== 'looping')
    turn.record('run.loop_entered', { runId: turn.of.runId, path, stepId: step.id, count: items.length });
  let open = 0;
  for (const [index, item] of items.entries()) {
    const inner: Room = { prefix: itemPath(path, index), outer: room, loop: step.id, index, item };
    const { done, steps } = itemOf(turn.run, inner);
    if (done) continue;
    const begun = Object.keys(steps).length > 0;
    if (!begun && (open >= step.concurrency || stopped(turn, step, room))) continue;
    const progress = walk(turn, step.steps, inner);
    if (progress === 'open') open++;
    else if (progress !== 'done') return turn.failed(step, room, path, progress.failed, null);
    else {
      const stop = step.until !== undefined && evaluating(() => step.until!.test(turn.scope(inner)));
      turn.record('run.item_completed', { runId: turn.of.runId, path, index, stop });
    }
  }
  if (open > 0) return 'open';
  return turn.completed(step, room, path, { results: resultsOf(turn, step, room), stopped: stopped(turn, step, room) });
}

function itemsOf(turn: Turn, step: ForEachStep, room: Room): readonly unknown[] {
  const items = evaluating(() => step.items.render(turn.scope(room)));
  if (!Array.isArray(items))
    throw new StepError({
      code: 'loop.no_list',
      message: 'forEach was given something that is no list.',
      retryable: false,
    });
  if (items.length > MAX_ITEMS)
    throw new StepError({
      code: 'loop.too_long',
      message: `forEach was given ${items.length} items; at most ${MAX_ITEMS} are allowed.`,
      retryable: false,
    });
  return items as unknown[];
}

function stopped(turn: Turn, step: ForEachStep, room: Room): boolean {
  const state = turn.stateOf(step, room);
  return state?.state === 'looping' && state.stop;
}

/** Of each item that was done: the output of the last of its steps that has one. */
function resultsOf(turn: Turn, step: ForEachStep, room: Room): unknown[] {
  const state = turn.stateOf(step, room);
  if (state?.state !== 'looping') return [];
  return state.items.filter(({ done }) => done).map(({ steps }) => lastOutput(step.steps, steps));
}

/** A step that is not done yet may have run out of time. */
function limited(turn: Turn, step: Step, room: Room, path: string): Progress {
  const state = turn.stateOf(step, room);
  if (state === undefined || !isOpen(state) || state.deadline === undefined) return 'open';
  if (!turn.due(path, 'timeout', state.deadline)) return 'open';
  const message = 'The step took longer than its time limit.';
  return turn.failed(step, room, path, { code: 'step.timeout', message, path }, null);
}

/** Of the last step in the text that completed, in a case that was taken too. */
function lastOutput(steps: readonly Step[], frame: Readonly<Record<string, StepState>>): unknown {
  for (const step of steps.toReversed()) {
    const state = stepIn(frame, step.id);
    if (step.kind === 'switch') {
      for (const { steps: inner } of step.cases.toReversed()) {
        const output = lastOutput(inner, frame);
        if (output !== null) return output;
      }
    } else if (state?.state === 'completed' || (state?.state === 'failed' && state.output !== null))
      return state.output;
  }
  return null;
}
