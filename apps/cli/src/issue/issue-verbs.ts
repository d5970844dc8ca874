import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { Verb } from '../nouns/verb-table.js';
import { all } from '../pages.js';
import type { Shell } from '../shell.js';

interface Comment {
  readonly id: string;
  readonly body: string;
  readonly createdBy: string;
  readonly createdAt: string;
}

const pathOf = (id: string): string => `/api/v1/issues/${encodeURIComponent(id)}`;

/** What `millrace issue` does beside the rows of its resource. */
export const issueVerbs: readonly Verb[] = [
  { usage: 'comments <issue>', does: 'list its comments, oldest first', run: comments },
  { usage: 'rm <issue>', does: 'close it; an issue is never deleted', run: close },
];

async function comments(shell: Shell, [id]: readonly string[]): Promise<void> {
  const found = await all<Comment>(shell, `${pathOf(id!)}/comments`);
  if (shell.json) return shell.print(stringifyJson(found, 2));
  if (shell.quiet) return found.forEach((one) => shell.print(one.id));
  shell.table(
    ['CREATED', 'BY', 'COMMENT'],
    found.map(({ createdAt, createdBy, body }) => [createdAt, createdBy, body]),
  );
}

async function close(shell: Shell, [id]: readonly string[]): Promise<void> {
  const issue = await shell.call<object>('PATCH', pathOf(id!), { status: 'closed' });
  if (shell.json) shell.print(stringifyJson(issue, 2));
  else if (!shell.quiet) shell.note(`Closed ${id}.`);
}
