import type { ConfigOf } from '#libs/events/src/shapes/agents/agent-config-shape.js';
import { isObject } from '#libs/kernel/src/json.js';
import { uuid5 } from '#libs/kernel/src/ids.js';

import { failed } from '../engine/end-drafts.js';
import { type Runtime, WAIT } from './runtime.js';

/** A run of a workflow is the execution: the input is its inputs, its outcome is the result. The workflow limits its time. */
export const workflowRuntime: Runtime = {
  timeLimit: () => undefined,

  decide({ execution, settings, input, now }) {
    if (execution.accepted) return WAIT;
    const { executionId, agentId, eventId } = execution.start;
    const inputs = input ?? {};
    if (!isObject(inputs)) {
      const message = 'The input must be an object: the inputs of the workflow by name.';
      return { drafts: [failed(execution, { code: 'agent.invalid_input', message }, now)] };
    }
    const { workflow } = settings.config as ConfigOf<'workflow'>;
    const requestedBy = { kind: 'agent' as const, agentId, executionId };
    return {
      // One append: the run is requested once, however often a process dies.
      drafts: [
        {
          type: 'workflow.requested',
          data: { requestedBy, eventId, workflow, inputs, isChild: true },
          id: uuid5('agents.run', executionId),
        },
        { type: 'agent.accepted', data: { executionId } },
      ],
    };
  },
};
