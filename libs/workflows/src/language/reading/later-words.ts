import type { SourceProblems } from '../source-problems.js';
import type { RawObject } from '../vocabulary.js';

/**
 * Words that the language keeps for itself: refused by name, before they count as unknown, and taken by no plug-in. A word
 * counts no longer once a kind has it.
 */
export const LATER = {
  workflow: ['env', 'secrets', 'defaults'],
  trigger: ['cron', 'webhook'],
  step: ['run'],
  uses: ['send_message'],
} as const;

/** The object without the keys that are kept for later, which are reported. */
export function withoutLaterKeys(
  value: RawObject,
  words: readonly string[],
  known: readonly string[],
  pointer: string,
  instead: string,
  problems: SourceProblems,
): RawObject {
  const later = words.filter((word) => Object.hasOwn(value, word) && !known.includes(word));
  for (const word of later)
    problems.add(`${pointer}/${word}`, 'workflow.unsupported', `"${word}" is not supported yet. ${instead}`, true);
  return Object.fromEntries(Object.entries(value).filter(([key]) => !later.includes(key)));
}
