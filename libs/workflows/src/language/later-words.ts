import type { SourceProblems } from './source-problems.js';
import type { RawObject } from './vocabulary.js';

/**
 * Words that the language keeps for itself: refused by name, before they count as unknown, and taken by no plug-in. A word
 * counts no longer once a kind has it.
 */
export const LATER = {
  workflow: ['concurrency', 'nodes', 'edges', 'env', 'secrets', 'defaults'],
  trigger: ['schedule', 'cron', 'webhook'],
  step: ['parallel', 'waitForEvent', 'approval', 'while', 'set', 'workflow', 'run'],
  uses: ['send_webhook', 'dispatch_agent', 'create_issue', 'send_message', 'set', 'workflow', 'approval'],
} as const;

/** Whether an object has a key that is kept for later; if so that is reported. */
export function hasLaterKey(
  value: RawObject,
  words: readonly string[],
  known: readonly string[],
  pointer: string,
  instead: string,
  problems: SourceProblems,
): boolean {
  const word = words.find((candidate) => Object.hasOwn(value, candidate) && !known.includes(candidate));
  if (word === undefined) return false;
  problems.add(`${pointer}/${word}`, 'workflow.unsupported', `"${word}" is not supported yet. ${instead}`, true);
  return true;
}
