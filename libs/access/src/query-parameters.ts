import { pointerToken } from '#libs/kernel/src/json.js';
import { Problems } from '#libs/kernel/src/problems.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';

/**
 * A filter with a typo would be ignored, and the answer would hold what was not asked for.
 * @throws Rejected `query.invalid`, with every unknown parameter
 */
export function refuseUnknownParameters(query: object, allowed: readonly string[]): void {
  const problems = new Problems('query');
  for (const name of Object.keys(query))
    if (!allowed.includes(name))
      problems.add(
        `/${pointerToken(name)}`,
        `Unknown query parameter "${name}". ${suggestion(name, allowed)}Allowed: ${allowed.toSorted().join(', ') || 'none'}.`,
        'query.unknown_parameter',
      );
  problems.throwIfAny('query.invalid', 'The query is invalid');
}
