import { dump } from 'js-yaml';

import type { RuleDefinition } from '../language/definition.js';

/** As much of a saved rule as is written down. */
export interface WrittenRule {
  readonly id: string;
  readonly status: 'enabled' | 'disabled' | 'archived';
  readonly definition: RuleDefinition;
}

/** In the order in which people write them; what is not named here follows as it was saved. */
const FIRST = ['name', 'description'];
const THEN = ['eventSource', 'eventType', 'conditions', 'actions', 'throttle'];

/**
 * A rule as a YAML document that `millrace apply` and `millrace rule create` read back as the same rule. Its first line
 * is a comment with the id, `# rul_…`, by which a file is known again when the rule has another name. `enabled` is always
 * said: left out, it would stay as it is where the file is applied.
 */
export function ruleYaml({ id, status, definition }: WrittenRule): string {
  const given: Readonly<Record<string, unknown>> = { ...definition };
  const body: Record<string, unknown> = {};
  for (const key of FIRST) body[key] = given[key];
  body['enabled'] = status === 'enabled';
  for (const key of THEN) body[key] = given[key];
  for (const key of Object.keys(given)) body[key] ??= given[key];
  const written = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined));
  // Lines are not folded: an expression is searched for, and compared, as one line.
  return `# ${id}\n${dump(written, { lineWidth: -1, noRefs: true })}`;
}

/** One document of a stream of several. */
export const inStream = (document: string): string => `---\n${document}`;
