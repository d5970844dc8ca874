import { pastKind } from '#libs/event-store/src/past-kind.js';

import { eventTypeIdOf, ownType } from './own-type.js';

/** Event types of an organisation as they were. */
export const pastTypes = pastKind({
  name: 'event-types',
  slice: ownType,
  key: 'type',
  idOf: eventTypeIdOf,
  show: (state) => {
    if (state.kind === 'unknown') return undefined;
    const { type, version, content } = state;
    return { type, version, status: state.kind === 'archived' ? 'archived' : 'active', ...content };
  },
});
