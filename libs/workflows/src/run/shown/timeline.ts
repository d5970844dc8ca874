import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import type { ShownStep } from '#libs/events/src/shapes/run-shape.js';

import type { Definition, Step } from '../../language/definition.js';
import { allSteps, nestedIn, stepEvents } from '../../steps/registry.js';

/**
 * The steps of a run in the order in which they began, from its stream. Pure.
 * @param definition of the run's version, for the names of steps, their conditions and what is inside them.
 */
export function timelineOf(events: readonly RecordedEvent[], definition?: Definition): ShownStep[] {
  const shown = new Map<string, ShownStep>();
  const steps = definition
    ? allSteps([...definition.steps, ...definition.onFailure, ...(definition.finally?.steps ?? [])])
    : [];
  const inside = new Map(steps.map((step) => [step.id, allSteps(nestedIn(step).lists.flat()).map(({ id }) => id)]));
  /** Steps that start again after a retry: shown as they ended until they do. */
  const stale = new Set<string>();
  for (const event of events) {
    if (event.is('run.retried')) retry(shown, event.data, stale);
    show(shown, event, stale);
    cancelOpen(shown, event, inside);
  }
  const byId = new Map(steps.map((step) => [step.id, step]));
  return [...shown.values()].map((step) => {
    const written = byId.get(step.stepId);
    if (!written) return step;
    const skipped = step.status === 'skipped' ? whySkipped(written) : undefined;
    return { ...step, ...(written.name !== undefined && { name: written.name }), ...(skipped && { skipped }) };
  });
}

const whySkipped = ({ disabled, condition }: Step): string | undefined =>
  disabled ? 'disabled: true' : condition && `if is not true: ${condition.source}`;

/** What is open inside a step or a run when that ends will not go on. */
function cancelOpen(
  steps: ReadonlyMap<string, ShownStep>,
  event: RecordedEvent,
  inside: ReadonlyMap<string, readonly string[]>,
): void {
  let isOver: (step: ShownStep) => boolean;
  if (event.is('workflow.step_completed', 'workflow.error')) {
    const { path, stepId } = event.data;
    const nested = inside.get(stepId) ?? [];
    const pass = path.slice(0, path.length - stepId.length);
    isOver = (step) => nested.includes(step.stepId) && step.path.startsWith(pass);
  } else if (
    event.is('workflow.completed', 'workflow.failed', 'run.recovery_started', 'run.finally_started', 'run.cancelled')
  )
    isOver = () => true;
  else return;
  const { timestamp } = event.metadata;
  for (const step of steps.values()) {
    if (step.endedAt !== undefined || !isOver(step)) continue;
    Object.assign(step, { status: 'cancelled', endedAt: timestamp });
    delete step.waiting;
    const attempt = step.attempts.at(-1);
    if (attempt) attempt.endedAt ??= timestamp;
  }
}

function retry(steps: Map<string, ShownStep>, { forget, reopen }: DataOf<'run.retried'>, stale: Set<string>): void {
  for (const path of forget) stale.add(path);
  for (const path of reopen) {
    const step = steps.get(path);
    if (!step) continue;
    step.status = 'running';
    delete step.endedAt;
    delete step.output;
    delete step.error;
  }
}

function show(steps: Map<string, ShownStep>, event: RecordedEvent, stale: Set<string>): void {
  const { timestamp } = event.metadata;
  const { path, stepId } = event.data as { path?: string; stepId?: string };
  if (path === undefined || path === '') return;
  const step = (): ShownStep => {
    let known = steps.get(path);
    if (!known || stale.delete(path)) {
      const id = stepId ?? path.slice(path.lastIndexOf('.') + 1);
      known = {
        path,
        stepId: id,
        status: 'running',
        startedAt: timestamp,
        attempts: known?.attempts ?? [],
        timers: [],
      };
      steps.delete(path);
      steps.set(path, known);
    }
    return known;
  };
  const own = stepEvents.get(event.type);
  if (own) {
    const known = step();
    own.show?.(known, event.data, timestamp);
  } else if (event.is('run.timer_set')) {
    const { purpose, at } = event.data;
    if (purpose === 'wait') Object.assign(step(), { status: 'waiting', waiting: `waiting until ${at}` });
    step().timers.push({ purpose, at });
  } else if (event.is('run.timer_fired')) {
    const timer = step().timers.findLast(
      ({ purpose, firedAt }) => purpose === event.data.purpose && firedAt === undefined,
    );
    if (timer) timer.firedAt = timestamp;
  } else if (event.is('run.step_reused')) {
    const { status, output, error, of: reusedFrom } = event.data;
    Object.assign(step(), { status, endedAt: timestamp, reusedFrom, output, ...(error && { error }) });
  } else if (event.is('run.step_skipped')) Object.assign(step(), { status: 'skipped', endedAt: timestamp });
  else if (event.is('workflow.step_completed', 'workflow.error')) {
    const { output, startedAt } = event.data;
    const known = step();
    if (known.attempts.length === 0) known.startedAt = startedAt;
    delete known.waiting;
    Object.assign(known, { endedAt: timestamp, output, status: event.is('workflow.error') ? 'failed' : 'completed' });
    Object.assign(known.attempts.at(-1) ?? {}, { endedAt: timestamp });
    if (event.is('workflow.error')) {
      Object.assign(known, { error: event.data.error });
      Object.assign(known.attempts.at(-1) ?? {}, { error: event.data.error });
    }
  }
}
