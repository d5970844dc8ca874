import { pastKind } from '#libs/event-store/src/past-kind.js';

import { agent } from './agent.js';

/** Agents as they were, without secrets. */
export const pastAgents = pastKind({
  name: 'agents',
  slice: agent,
  show: (state) =>
    state.kind === 'registered' ? { ...state.settings, hasSecret: state.secret !== undefined } : undefined,
});
