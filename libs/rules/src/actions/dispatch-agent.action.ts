import { type ActionKind, keys, needed, neededText, optional } from './action-kind.js';

export const dispatchAgent: ActionKind<'agent.requested'> = {
  description:
    'Starts an [execution of an agent](agents.md) and does not wait for it. It is pending while the agent does not exist, or runs `maxConcurrent` executions.',
  with: keys({
    agent: needed('Id or name of the agent.', 'agent'),
    input: optional('Any JSON.'),
  }),
  request: (filled) => ({ agent: neededText(filled, 'agent'), input: filled['input'] ?? null }),
};
