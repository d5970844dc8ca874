import { dump } from 'js-yaml';

import { isExactNumber, stringifyJson, withHeldNumbers } from '#libs/kernel/src/text/exact-json.js';

/** A value as YAML. With a number that JavaScript cannot hold it is JSON, which is YAML too. */
export function writeYaml(value: unknown): string {
  const held = withHeldNumbers(value);
  return hasExactNumber(held) ? `${stringifyJson(held, 2)}\n` : dump(held, { lineWidth: 120, noRefs: true });
}

const hasExactNumber = (value: unknown): boolean =>
  isExactNumber(value) || (typeof value === 'object' && value !== null && Object.values(value).some(hasExactNumber));
