import { withHeldNumbers } from '#libs/kernel/src/text/exact-json.js';
import type { PureStep } from '#libs/plugin-sdk/src/define-step.js';

import type { LibraryKind } from '../kind/step-kind.js';
import { inputOf } from '../kind/step-input.js';

/** Steps of the library that only compute. */
export const pureStep: LibraryKind<PureStep> = {
  form: 'library',
  name: 'pure',
  pace: 'instant',
  decide(step, decision) {
    const input = inputOf(step, decision.scope());
    return decision.completed(step.uses.run(step.uses.keepsDigits ? input : withHeldNumbers(input)));
  },
};
