import { dump } from 'js-yaml';

import { type RuleDefinition, ruleFields } from '#libs/events/src/shapes/rule-shape.js';
import { isExactNumber } from '#libs/kernel/src/text/exact-json.js';
import { isObject } from '#libs/kernel/src/json.js';

/** As much of a saved rule as is written down. */
export interface WrittenRule {
  readonly id: string;
  readonly status: 'enabled' | 'disabled' | 'archived';
  readonly definition: RuleDefinition;
}

/**
 * A rule as a YAML document that `millrace apply` and `millrace rule create` read back as the same rule. Its first line
 * is a comment with the id, `# rul_…`, by which a file is known again when the rule has another name. `enabled` is always
 * said: left out, it would stay as it is where the file is applied.
 */
export function ruleYaml({ id, status, definition }: WrittenRule): string {
  const given: Readonly<Record<string, unknown>> = { ...definition, enabled: status === 'enabled' };
  // In the order of the shape; what a newer version has saved follows.
  const keys = new Set([...Object.keys(ruleFields), ...Object.keys(given)]);
  const written = Object.fromEntries(
    [...keys].filter((key) => given[key] !== undefined).map((key) => [key, given[key]]),
  );
  // Lines are not folded: an expression is searched for, and compared, as one line.
  const numbers: string[] = [];
  const text = dump(withPlaceholders(written, numbers), { lineWidth: -1, noRefs: true });
  return `# ${id}\n${text.replaceAll(PLACEHOLDER, (_, index) => numbers[Number(index)]!)}`;
}

/** Stands for a number with more digits than the writer of YAML knows; nobody outside can know it. */
const MARK = `exact-${crypto.randomUUID()}-`;
const PLACEHOLDER = new RegExp(`${MARK}(\\d+)-`, 'g');

function withPlaceholders(value: unknown, numbers: string[]): unknown {
  if (isExactNumber(value)) return `${MARK}${numbers.push(value.text) - 1}-`;
  if (Array.isArray(value)) return value.map((item) => withPlaceholders(item, numbers));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withPlaceholders(item, numbers)]));
}

/** One document of a stream of several. */
export const inStream = (document: string): string => `---\n${document}`;
