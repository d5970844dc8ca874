import type { RecordedEvent } from '#libs/event-store/src/event-store.js';

import type { Definition } from '../language/definition.js';
import { allSteps, stepEvents } from '../steps/registry.js';
import type { ShownStep } from '../steps/kind/step-kind.js';

/**
 * The steps of a run in the order in which they began, from its stream. Pure.
 * @param definition of the run's version, for the names of steps; without it they have none.
 */
export function timelineOf(events: readonly RecordedEvent[], definition?: Definition): readonly ShownStep[] {
  const shown = new Map<string, ShownStep>();
  for (const event of events) show(shown, event);
  const steps = definition ? allSteps([...definition.steps, ...definition.onFailure]) : [];
  const names = new Map(steps.map(({ id, name }) => [id, name]));
  return [...shown.values()].map((step) => {
    const name = names.get(step.stepId);
    return name === undefined ? step : { ...step, name };
  });
}

function show(steps: Map<string, ShownStep>, event: RecordedEvent): void {
  const { timestamp } = event.metadata;
  const { path, stepId } = event.data as { path?: string; stepId?: string };
  if (path === undefined || path === '') return;
  const step = (): ShownStep => {
    let known = steps.get(path);
    if (!known) {
      const id = stepId ?? path.slice(path.lastIndexOf('.') + 1);
      known = { path, stepId: id, status: 'running', startedAt: timestamp, attempts: [], timers: [] };
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
    if (purpose === 'wait') step().status = 'waiting';
    step().timers.push({ purpose, at });
  } else if (event.is('run.timer_fired')) {
    const timer = step().timers.findLast(
      ({ purpose, firedAt }) => purpose === event.data.purpose && firedAt === undefined,
    );
    if (timer) timer.firedAt = timestamp;
  } else if (event.is('run.step_skipped')) Object.assign(step(), { status: 'skipped', endedAt: timestamp });
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
