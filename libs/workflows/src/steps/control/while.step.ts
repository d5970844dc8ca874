import { Type } from '@sinclair/typebox';

import type { CompiledExpression } from '#libs/expressions/src/compile.js';
import type { JsonSchema } from '#libs/expressions/src/schema.js';
import { isObject } from '#libs/kernel/src/json.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { Step } from '../../language/definition.js';
import { closed, Condition, described, Duration, stepShape, StepList, whole } from '../../language/fields.js';
import { durationOf } from '../../language/literals.js';
import type { KeywordKind, Pass } from '../kind/step-kind.js';
import { evaluating } from '../kind/step-input.js';

interface WhileFields {
  readonly holds: CompiledExpression | undefined;
  readonly maxIterations: number;
  readonly delayMs: number | undefined;
  readonly steps: readonly Step[];
}

/** Most iterations of one loop. */
export const MAX_ITERATIONS = 1000;

/** Repeats its steps as long as a condition is true. */
export const whileStep: KeywordKind<WhileFields, { readonly index: number }> = {
  form: 'keyword',
  name: 'while',
  shape: stepShape(
    {
      while: closed(
        {
          condition: described(
            Condition,
            'Evaluated before each iteration. It sees the `index` of this iteration (from 0) and the steps of the previous one.',
          ),
          maxIterations: whole(1, MAX_ITERATIONS, 'One more fails the step with `step.too_many_iterations`.'),
          delay: Type.Optional(described(Duration, 'Between two iterations.')),
        },
        '`condition`, `maxIterations` and, between two iterations, `delay`.',
      ),
      steps: StepList,
    },
    'Repeats its steps as long as a condition is true, with `index` in scope.',
  ),
  nesting: { at: ['steps'], scope: 'own', lists: ({ steps }) => [steps] },
  outputSchema: Type.Object({ iterations: Type.Integer(), last: Type.Unknown() }),
  pace: 'lasting',
  events: {
    'run.iteration_started': { evolve: (step, { index }) => ({ ...step, timer: undefined, noted: { index } }) },
  },

  read(raw, { pointer, visible, expressions, list }) {
    const settings = isObject(raw['while']) ? raw['while'] : {};
    const inside = { ...visible, roots: { ...visible.roots, index: Type.Integer() as JsonSchema } };
    const body = list(raw['steps'], `${pointer}/steps`, inside);
    const { condition, maxIterations, delay } = settings;
    return {
      holds: expressions.condition(condition, `${pointer}/while/condition`, { ...inside, steps: body.visible.steps }),
      maxIterations: typeof maxIterations === 'number' ? maxIterations : 1,
      delayMs: durationOf(delay),
      steps: body.steps,
    };
  },

  decide({ holds, maxIterations, delayMs, steps }, decision) {
    const item = decision.scope()['item'];
    // The steps are those of the iteration before, `index` is that of the one that may begin.
    const isTrue = (pass: Pass, index: number) => evaluating(() => holds?.test({ ...pass.scope(), index }) ?? false);
    if (decision.open?.noted === undefined) {
      if (!isTrue(decision.pass(0, item), 0)) return decision.completed({ iterations: 0, last: null });
      decision.record('run.iteration_started', { index: 0 });
    }
    for (let index = decision.open?.noted?.index ?? 0; ; index++) {
      const pass = decision.pass(index, item);
      const progress = pass.advance(steps);
      if (progress === 'open') return 'open';
      if (progress !== 'done') return decision.failed(progress.failed);
      const iterations = index + 1;
      if (!isTrue(pass, iterations)) return decision.completed({ iterations, last: pass.resultOf(steps).output });
      if (iterations === maxIterations)
        throw new StepError({
          code: 'step.too_many_iterations',
          message: `The condition is still true after ${maxIterations} iterations. Raise maxIterations, or change the condition.`,
          retryable: false,
          output: { iterations, last: pass.resultOf(steps).output },
        });
      if (delayMs !== undefined) {
        if (decision.open?.timer === undefined) decision.setTimer('wait', delayMs);
        if (!decision.isDue('wait')) return 'open';
      }
      decision.record('run.iteration_started', { index: iterations });
    }
  },
};
