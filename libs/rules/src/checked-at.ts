import { Rejected } from '#libs/kernel/src/errors.js';

import { type CheckedRule, checkRule } from './definition.js';
import type { KnownActions } from './plugin-actions.js';

/** The rule, its problems with pointers into the body that it is a part of. @throws Rejected `rule.invalid` */
export function checkedAt(pointer: string, rule: unknown, known: KnownActions): CheckedRule {
  try {
    return checkRule(rule, known);
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    throw new Rejected(error.kind, error.code, error.message, {
      problems: error.problems.map((problem) => ({ ...problem, pointer: pointer + problem.pointer })),
    });
  }
}
