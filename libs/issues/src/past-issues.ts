import { pastKind } from '#libs/event-store/src/past-kind.js';

import { issue } from './issue.js';

/** Issues of the built-in tracker as they were. */
export const pastIssues = pastKind({
  name: 'issues',
  slice: issue,
  show: (state) => {
    if (state.kind === 'unknown') return undefined;
    const { title, body = null, status, priority = null, labels, assignee = null, team = null } = state.fields;
    const { dedupeKey = null, comments } = state;
    return { title, body, status, priority, labels, assignee, team, dedupeKey, comments };
  },
});
