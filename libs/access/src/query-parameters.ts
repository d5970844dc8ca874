import { pointerToken } from '#libs/kernel/src/json.js';
import { Problems } from '#libs/kernel/src/problems.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';

/** How the description names a family of parameters. */
const FAMILY = '.NAME';

/** As `@ApiQuery` and `@ApiParam` note it. */
export interface DescribedParameter {
  readonly in: string;
  readonly name: string;
  /** `enum`: its only values. */
  readonly schema?: { readonly enum?: readonly string[] };
}

/**
 * A filter with a typo in its name or value would be ignored or find nothing: the answer would hold what was not asked for, or less.
 * @throws Rejected `query.invalid`, with every parameter that the description of the route does not allow
 */
export function checkQuery(query: object, described: readonly DescribedParameter[]): void {
  const parameters = described.filter((parameter) => parameter.in === 'query');
  const names = parameters.map(({ name }) => name);
  const problems = new Problems('query');
  for (const [name, value] of Object.entries(query) as [string, unknown][]) {
    const parameter = parameters.find((one) => one.name === name || isOf(one.name, name));
    const values = parameter?.schema?.enum;
    if (!parameter)
      problems.add(
        `/${pointerToken(name)}`,
        `Unknown query parameter "${name}". ${suggestion(name, names)}Allowed: ${names.toSorted().join(', ') || 'none'}.`,
        'query.unknown_parameter',
      );
    else if (values && typeof value === 'string' && value !== '' && !values.includes(value))
      problems.add(
        `/${pointerToken(name)}`,
        `Must be one of ${values.join(', ')}. ${suggestion(value, values)}`.trim(),
        'query.unknown_value',
      );
  }
  problems.throwIfAny('query.invalid', 'The query is invalid');
}

/** Whether a name belongs to a family: `label.team` to `label.NAME`. */
function isOf(described: string, name: string): boolean {
  if (!described.endsWith(FAMILY)) return false;
  const prefix = described.slice(0, 1 - FAMILY.length);
  return name.startsWith(prefix) && name.length > prefix.length;
}
