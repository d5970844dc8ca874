import { pastKind } from '#libs/event-store/src/past-kind.js';

import { rule } from './rule.js';

/** Rules as they were. */
export const pastRules = pastKind({
  name: 'rules',
  slice: rule,
  show: (state) => {
    if (state.status === 'unknown') return undefined;
    const { definition, status, version } = state;
    return { ...definition, enabled: status === 'enabled', status, version };
  },
});
