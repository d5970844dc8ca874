import { shapeProblems } from '#libs/events/src/shapes/shape-check.js';
import { rounded } from '#libs/kernel/src/text/exact-json.js';
import { isObject } from '#libs/kernel/src/json.js';
import type { Problems } from '#libs/kernel/src/problems.js';
import type { ActionDefinition } from '#libs/plugin-sdk/src/define-action.js';

import { actionTypes, isBuiltIn } from './built-in.js';

/** The actions that plug-ins add, by name. */
export type KnownActions = ReadonlyMap<string, ActionDefinition>;

export const NO_ACTIONS: KnownActions = new Map();

/**
 * Notes actions that nobody knows, and what of `with` does not fit the plug-in's schema, as far as it can be said before
 * templates are filled in. For rules that come from outside: a plug-in may be gone when a rule is read from the log.
 */
export function checkPluginActions(actions: unknown, known: KnownActions, problems: Problems): void {
  if (!Array.isArray(actions)) return;
  actions.forEach((action: unknown, index) => {
    if (!isObject(action) || typeof action['type'] !== 'string' || isBuiltIn(action['type'])) return;
    const { type, with: given = {} } = action;
    const found = known.get(type);
    if (!found) problems.oneOf(type, [...actionTypes, ...known.keys()], `/actions/${index}/type`);
    else if (isObject(given))
      problems.addAll(
        shapeProblems(found.inputSchema, rounded(given), {
          prefix: 'rule',
          pointer: `/actions/${index}/with`,
          isOpen: isTemplate,
        }),
      );
  });
}

const isTemplate = (value: unknown): boolean => typeof value === 'string' && value.includes('${{');
