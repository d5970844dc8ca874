import { Type } from '@sinclair/typebox';

import type { CompiledExpression } from '#libs/expressions/src/compile.js';
import { isObject } from '#libs/kernel/src/json.js';

import type { Step } from '../../language/definition.js';
import { closed, Condition, stepShape, StepList } from '../../language/fields.js';
import { listOf } from '../../language/reading/step-ids.js';
import type { KeywordKind } from '../kind/step-kind.js';
import { evaluating } from '../kind/step-input.js';

interface SwitchFields {
  /** The first that is true is taken; `else` has no condition. */
  readonly cases: readonly { readonly condition: CompiledExpression | undefined; readonly steps: readonly Step[] }[];
}

const Case = closed({ if: Condition, steps: StepList }, 'A case.');
const Else = closed({ else: Type.Literal(true), steps: StepList }, 'The last case: used when no other case is true.');

/** Runs the steps of the first case that is true. */
export const switchStep: KeywordKind<SwitchFields, { readonly taken: number }> = {
  form: 'keyword',
  name: 'switch',
  shape: stepShape(
    {
      switch: Type.Array(Type.Unknown({ inEditors: Type.Union([Case, Else]) }), {
        minItems: 1,
        maxItems: 50,
        description: 'Cases, each with `if` and `steps`; the last may have `else: true` instead of `if`.',
      }),
    },
    'Runs the steps of the first case that is true.',
  ),
  nesting: { at: ['switch', '*', 'steps'], scope: 'shared', lists: ({ cases }) => cases.map(({ steps }) => steps) },
  outputSchema: Type.Object({ case: Type.Union([Type.Integer(), Type.Null()]) }),
  pace: 'lasting',
  events: {
    'run.branch_taken': { evolve: (step, { case: taken }) => ({ ...step, noted: { taken } }) },
  },

  read({ switch: value }, { pointer, visible, expressions, problems, list }) {
    const entries = listOf(value);
    // One case is taken, but which is not known: a later case does not see the steps of an earlier one.
    const cases = entries.map((entry, index) => {
      const at = `${pointer}/switch/${index}`;
      const isElse = isObject(entry) && Object.hasOwn(entry, 'else');
      if (problems.fits(isElse ? Else : Case, entry, at) && isElse && index < entries.length - 1)
        problems.add(at, 'workflow.bad_value', '"else" must be the last case: later cases would never run.');
      const { if: condition, steps } = isObject(entry) ? entry : {};
      return {
        condition: isElse ? undefined : expressions.condition(condition, `${at}/if`, visible),
        steps: list(steps, `${at}/steps`, visible).steps,
      };
    });
    return { cases };
  },

  decide({ cases }, decision) {
    if (decision.open?.noted === undefined) {
      const scope = decision.scope();
      const taken = cases.findIndex(({ condition }) => evaluating(() => condition?.test(scope) ?? true));
      decision.record('run.branch_taken', { case: taken });
    }
    const taken = decision.open?.noted?.taken ?? -1;
    const progress = decision.advance(cases[taken]?.steps ?? []);
    if (progress === 'done') return decision.completed({ case: taken < 0 ? null : taken });
    return progress === 'open' ? 'open' : decision.failed(progress.failed);
  },
};
