import { durationOf } from '../literals.js';
import type { SourceProblems } from '../source-problems.js';

/** A `timeout` in milliseconds. A text that was saved may have 0s, so that is a warning. */
export function timeLimitOf(value: unknown, pointer: string, problems: SourceProblems): number | undefined {
  const limit = durationOf(value);
  if (limit === 0)
    problems.suspect(() =>
      problems.warn(pointer, 'workflow.no_time', 'With 0s it fails at once. Set a longer time, or remove "timeout".'),
    );
  return limit;
}
