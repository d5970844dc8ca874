import type { NearTrigger } from '#libs/event-index/src/decision-sources.js';
import { distanceOf, type SeenEvent, unfitPart } from '#libs/event-index/src/nearness.js';
import { globMatcher } from '#libs/events/src/patterns.js';

import type { Definition } from '../language/definition.js';
import { filterOf } from '../triggers/event.trigger.js';
import { listensTo } from '../triggers/registry.js';

/** A workflow, as far as it says which events start it. */
export interface TriggeredWorkflow {
  readonly id: string;
  readonly name: string;
  readonly definition: Definition | undefined;
}

/**
 * Triggers without a decision that came nearest to one, the nearest first.
 * @param hasDecided whether a trigger has left one, by the id of its workflow and its place.
 */
export function nearestTriggers(
  event: SeenEvent,
  workflows: readonly TriggeredWorkflow[],
  hasDecided: (workflowId: string, trigger: number) => boolean,
  most: number,
): readonly NearTrigger[] {
  return workflows
    .flatMap(({ id, name, definition }) =>
      (definition?.triggers ?? []).flatMap((trigger, index) => {
        const filter = filterOf(trigger);
        if (!filter || hasDecided(id, index)) return [];
        const { event: types, source = ['*'] } = filter;
        const isOfSource = source.some((glob) => globMatcher(glob)(event.source));
        const reason = unfitPart(listensTo(trigger, event.type), isOfSource) ?? ('changed_later' as const);
        const near: NearTrigger = { workflowId: id, workflow: name, trigger: index, reason, event: types, source };
        return [{ near, distance: distanceOf(reason, types, event) }];
      }),
    )
    .sort((one, two) => one.distance - two.distance || (one.near.workflow < two.near.workflow ? -1 : 1))
    .slice(0, most)
    .map(({ near }) => near);
}
