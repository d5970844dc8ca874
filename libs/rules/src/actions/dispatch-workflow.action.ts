import { isObject } from '#libs/kernel/src/json.js';

import { type ActionKind, keys, needed, neededText, optional, unusable } from './action-kind.js';

export const dispatchWorkflow: ActionKind<'workflow.requested'> = {
  description: 'Starts a run of a workflow.',
  with: keys({
    workflow: needed('Name of the workflow.', 'workflow'),
    inputs: optional('An object: the inputs of its manual trigger.'),
  }),
  request: (filled) => {
    const inputs = filled['inputs'] ?? {};
    if (!isObject(inputs)) throw unusable('inputs', 'an object', inputs);
    return { workflow: neededText(filled, 'workflow'), inputs };
  },
};
