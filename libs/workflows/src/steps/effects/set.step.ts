import { Type } from '@sinclair/typebox';

import { ONLY_COMPUTES } from '../kind/attempt-failed.js';
import type { NamedKind } from '../kind/step-kind.js';
import { inputOf, plain } from '../kind/step-input.js';

/** Sets variables of the run; the last value counts. */
export const setStep: NamedKind = {
  form: 'named',
  name: 'set',
  description: 'Sets variables of the run: later expressions see `vars.<name>`.',
  inputSchema: Type.Record(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]{0,63}$' }), Type.Unknown(), {
    additionalProperties: false,
    minProperties: 1,
    expected: 'values by name; a name has letters, digits and _, and does not begin with a digit',
  }),
  noRetry: ONLY_COMPUTES,
  pace: 'instant',
  appends: ['run.vars_set'],

  decide(step, decision) {
    const { vars } = decision.scope();
    const values = inputOf(step, decision.scope());
    plain({ ...(vars as object), ...values }, 'run.vars_too_large');
    decision.record('run.vars_set', { values });
    return decision.completed(values);
  },
};
