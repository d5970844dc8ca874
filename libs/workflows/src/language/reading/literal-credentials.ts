import { literalCredentials } from '#libs/events/src/credentials.js';

import type { SourceProblems } from '../source-problems.js';

/** Every version of a workflow is kept, and everybody who may see it sees what is written in it. */
export function warnAboutCredentials(workflow: unknown, problems: SourceProblems): void {
  for (const { pointer, offset, detail } of literalCredentials(workflow))
    problems.warn(pointer, 'workflow.literal_credential', detail, offset);
}
