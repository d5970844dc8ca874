import { isObject } from '#libs/kernel/src/json.js';

import type { RefusalReason } from '../define-provider.js';

/** Every {@link RefusalReason}, so that the compiler misses none. */
const REASONS: Readonly<Record<RefusalReason, true>> = {
  signature_missing: true,
  signature_malformed: true,
  signature_mismatch: true,
  stale: true,
  unavailable: true,
};

export const isRefusalReason = (reason: unknown): reason is RefusalReason =>
  typeof reason === 'string' && Object.hasOwn(REASONS, reason);

/** What is wrong with what `verify` gave; `undefined` if it is a verdict. */
export function verdictProblem(given: unknown): string | undefined {
  const wanted = 'verify must return { ok: true, authentication } or { ok: false, reason }';
  if (!isObject(given)) return `${wanted}; it returned ${given === null ? 'null' : describe(given)}`;
  if (given['ok'] === true)
    return typeof given['authentication'] === 'string' && given['authentication'] !== ''
      ? undefined
      : `${wanted}; it returned ok: true without an authentication, such as 'hmac-sha256'`;
  if (given['ok'] !== false) return `${wanted}; it returned an object in which ok is ${describe(given['ok'])}`;
  return isRefusalReason(given['reason'])
    ? undefined
    : `the reason of a refusal must be one of ${Object.keys(REASONS).join(', ')}; it is ${describe(given['reason'])}`;
}

/** Short, and nothing of what an object holds: it goes to a log. */
const describe = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value).slice(0, 40)
    : `of type ${typeof value}`;
