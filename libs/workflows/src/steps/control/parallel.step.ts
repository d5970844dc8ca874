import { Type } from '@sinclair/typebox';

import { isObject } from '#libs/kernel/src/json.js';

import type { Step } from '../../language/definition.js';
import { closed, stepShape, StepList } from '../../language/fields.js';
import { listOf } from '../../language/reading/step-ids.js';
import { BRANCHES } from '../kind/branches.js';
import type { KeywordKind, StepsResult } from '../kind/step-kind.js';
import { ResultSchema } from '../kind/step-result.js';

interface ParallelFields {
  readonly branches: readonly (readonly Step[])[];
  /** Whether the first branch that completes ends the step. */
  readonly race: boolean;
}

const Branch = closed({ steps: StepList }, 'A branch.');

const CANCELLED: StepsResult = { status: 'cancelled', output: null, error: null };

/** Runs branches at the same time. */
export const parallelStep: KeywordKind<ParallelFields> = {
  form: 'keyword',
  name: 'parallel',
  shape: stepShape(
    {
      parallel: Type.Array(Type.Unknown({ inEditors: Branch }), {
        minItems: 1,
        maxItems: 50,
        description: 'Branches, each with `steps`.',
        expected: 'a list of branches, each with "steps"',
      }),
      race: Type.Optional(
        Type.Boolean({ description: '`true`: the first branch that completes ends the step and cancels the others.' }),
      ),
    },
    'Runs branches at the same time. The first failure stops the others; with `onError: continue` they go on.',
  ),
  nesting: { at: ['parallel', '*', 'steps'], scope: 'shared', lists: ({ branches }) => branches },
  outputSchema: Type.Object({ branches: Type.Array(ResultSchema), winner: Type.Optional(Type.Integer()) }),
  pace: 'lasting',
  events: BRANCHES,

  read({ parallel, race }, { pointer, visible, problems, list }) {
    // Branches run side by side: none sees the steps of another.
    const branches = listOf(parallel).map((entry, index) => {
      const at = `${pointer}/parallel/${index}`;
      problems.fits(Branch, entry, at);
      return list(isObject(entry) ? entry['steps'] : undefined, `${at}/steps`, visible).steps;
    });
    return { branches, race: race === true };
  },

  decide({ branches, race, onError }, decision) {
    if (decision.open === undefined) decision.record('run.branches_started', { count: branches.length });
    const isPatient = onError === 'continue';
    let isOpen = false;
    for (const [winner, branch] of branches.entries()) {
      const progress = decision.advance(branch);
      if (progress === 'open') isOpen = true;
      else if (progress === 'done' && race && decision.resultOf(branch).status === 'completed')
        return decision.completed({
          branches: branches.map((other, index) => {
            const result = decision.resultOf(other);
            return index === winner || result.error !== null ? result : CANCELLED;
          }),
          winner,
        });
      else if (progress !== 'done' && !isPatient) return decision.failed(progress.failed);
    }
    if (isOpen) return 'open';
    const results = branches.map((branch) => decision.resultOf(branch));
    const failed = results.find(({ error }) => error !== null);
    return failed?.error
      ? decision.failed(failed.error, { branches: results })
      : decision.completed({ branches: results });
  },
};
