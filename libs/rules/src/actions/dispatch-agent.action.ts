import { type ActionKind, keys, needed, neededText, optional } from './action-kind.js';

export const dispatchAgent: ActionKind<'agent.requested'> = {
  description:
    'Requests an execution of an agent; the request is listed by `GET /api/v1/actions` until the agent starts.',
  with: keys({
    agent: needed('Id or name of the agent.'),
    input: optional('Any JSON.'),
  }),
  request: (filled) => ({ agent: neededText(filled, 'agent'), input: filled['input'] ?? null }),
};
