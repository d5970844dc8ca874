import type { PlatformEvent } from '#libs/events/src/envelope.js';

import type { Asking } from './actions.js';
import type { CompiledDefinition } from './definition.js';
import { costOf, inWordsOf } from './judge.js';

/** Why the actions of a rule that matched cannot be asked for, in words: then none of them is. */
export function unfit({ actions }: CompiledDefinition, event: PlatformEvent<unknown>): string | undefined {
  try {
    const cost = costOf(event);
    actions.forEach((action, index) => action.request(event, draftAsking(event, index), cost));
    return undefined;
  } catch (error) {
    return inWordsOf(error);
  }
}

/** On behalf of a rule that is not saved. */
export const draftAsking = ({ id }: PlatformEvent<unknown>, index: number): Asking => ({
  requestedBy: { kind: 'rule', ruleId: 'draft', ruleVersion: 1, index },
  eventId: id,
});
