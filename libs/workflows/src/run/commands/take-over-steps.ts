import { type DataOf } from '#libs/events/src/catalogue.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { isObject } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';

import type { RunDraft } from '../../engine/run-decision.js';
import type { StartedRun } from '../../engine/run-state.js';
import { parsePath } from '../../engine/step-path.js';
import type { Definition, Step } from '../../language/definition.js';
import { setStep } from '../../steps/effects/set.step.js';
import { plain } from '../../steps/kind/step-input.js';
import { failureOf } from '../../steps/kind/step-failure.js';
import { stepIn } from '../../steps/kind/step-state.js';
import { withShared } from '../../steps/registry.js';

export interface TakeOver {
  /** Id of the step that the new run begins with: one of the list at the top. */
  readonly from: string;
  /** Outputs of earlier steps by id, in place of those of the run. */
  readonly outputs: Readonly<Record<string, unknown>>;
}

/**
 * What a run that begins in the middle takes over from another: how the steps before ended, their outputs, and the
 * variables that they set. Pure.
 * @throws Rejected `run.unknown_step`, `run.invalid_outputs`, `run.step_not_ended`
 */
export function takenOver(
  run: StartedRun,
  recorded: readonly RecordedEvent[],
  { steps }: Definition,
  newRunId: string,
  { from, outputs }: TakeOver,
): readonly RunDraft[] {
  const at = steps.findIndex(({ id }) => id === from);
  if (at < 0) throw unknownStep(from, steps);
  const before = steps.slice(0, at);
  checkOutputs(outputs, before);
  const values = valuesSet(recorded);
  const reused = withShared(before).flatMap((step): DataOf<'run.step_reused'>[] => {
    const ofRun = { runId: newRunId, path: step.id, stepId: step.id, of: run.start.runId };
    const set = values.get(step.id);
    if (Object.hasOwn(outputs, step.id)) {
      const output = outputs[step.id] ?? null;
      // The output of `uses: set` is what it sets.
      const given = step.kind === setStep.name && isObject(output) ? output : set;
      return [{ ...ofRun, status: 'completed', output, ...(given && { values: given }) }];
    }
    const state = stepIn(run.steps, step.id);
    const isOver = state && state.status !== 'open' && !(state.status === 'failed' && !state.continued);
    if (isOver) {
      const { status } = state;
      return [
        {
          ...ofRun,
          status,
          output: status === 'skipped' ? null : state.output,
          ...(status === 'failed' && { error: state.error }),
          ...(set && { values: set }),
        },
      ];
    }
    if (!before.includes(step)) return [];
    throw new Rejected(
      'conflict',
      'run.step_not_ended',
      `The step "${step.id}" has no output in the run ${run.start.runId}. Give one in "outputs", or restart from "${step.id}".`,
      { problems: [{ pointer: '/from', detail: `Must not follow a step without an output: "${step.id}".` }] },
    );
  });
  return reused.map((data) => ({ type: 'run.step_reused', data }));
}

/** What each step of the list at the top has set, with the steps in its loops and branches. The last value counts. */
function valuesSet(recorded: readonly RecordedEvent[]): ReadonlyMap<string, Record<string, unknown>> {
  const values = new Map<string, Record<string, unknown>>();
  for (const event of recorded) {
    if (!event.is('run.vars_set', 'run.step_reused') || !event.data.values) continue;
    const { id } = parsePath(event.data.path)[0]!;
    values.set(id, { ...values.get(id), ...event.data.values });
  }
  return values;
}

function unknownStep(from: string, steps: readonly Step[]): Rejected {
  const ids = steps.map(({ id }) => id);
  return new Rejected('invalid', 'run.unknown_step', `There is no step "${from}" to restart from.`, {
    problems: [
      {
        pointer: '/from',
        detail: `Must be a step of the list at the top: ${ids.join(', ')}. ${suggestion(from, ids)}`,
      },
    ],
  });
}

function checkOutputs(outputs: Readonly<Record<string, unknown>>, before: readonly Step[]): void {
  const ids = before.map(({ id }) => id);
  const problems = Object.entries(outputs).flatMap(([id, output]) => {
    const pointer = `/outputs/${id}`;
    if (!ids.includes(id)) {
      const known = ids.length === 0 ? 'There is none.' : `Steps: ${ids.join(', ')}.`;
      return [
        { pointer, detail: `Must be a step before the first one of the new run. ${suggestion(id, ids)}${known}` },
      ];
    }
    try {
      plain(output, 'step.output_too_large');
      return [];
    } catch (error) {
      return [{ pointer, detail: failureOf(error, id).message }];
    }
  });
  if (problems.length > 0)
    throw new Rejected('invalid', 'run.invalid_outputs', 'The outputs are invalid.', { problems });
}
