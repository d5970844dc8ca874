import { readFileSync } from 'node:fs';

import type { SubjectAnswer, SubjectDetailAnswer } from '#libs/events/src/personal/subject-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { UsageError } from '../failures.js';
import type { Given, Verb } from '../nouns/verb-table.js';
import { all } from '../pages.js';
import type { Shell } from '../shell.js';

const PATH = '/api/v1/subjects';
const WHO = 'sub_…, the id that the sender gives the person, or - to read the id from the standard input';

/** The verbs of `millrace subject`. */
export const subjectVerbs: readonly Verb[] = [
  { usage: 'ls', does: 'list people as hashes, with their states', run: list },
  { usage: 'view <person>', does: `show how many events have data of a person: ${WHO}`, run: view },
  {
    usage: 'erase <person>',
    does: 'destroy the keys of the personal fields of a person; cannot be undone',
    options: [['--yes', 'erase without asking first']],
    run: erase,
  },
];

async function list(shell: Shell): Promise<void> {
  const subjects = await all<SubjectAnswer>(shell, PATH);
  if (shell.json) return shell.print(stringifyJson(subjects, 2));
  if (shell.quiet) return subjects.forEach(({ id }) => shell.print(id));
  if (subjects.length === 0)
    return shell.note('No event has personal fields. docs/privacy.md says how to declare them.');
  shell.table(
    ['PERSON', 'STATE', 'SINCE', 'ERASED'],
    subjects.map(({ id, state, createdAt, erasedAt }) => [id, state, createdAt, erasedAt ?? '']),
  );
}

async function view(shell: Shell, [id]: readonly string[]): Promise<void> {
  show(shell, await find(shell, id!));
}

async function erase(shell: Shell, [given]: readonly string[], { yes }: Given): Promise<void> {
  const { id, events } = await find(shell, given!);
  if (yes !== true)
    throw new UsageError(
      `${events} events have data of ${id}. Once it is erased, nobody can read it again. To erase it: millrace subject erase ${id} --yes`,
    );
  // By its hash: the id of a person is in no URL.
  show(shell, await shell.call<SubjectDetailAnswer>('DELETE', `${PATH}/${id}`));
}

/** In the body, since URLs are in the logs of proxies. */
const find = (shell: Shell, given: string): Promise<SubjectDetailAnswer> => {
  const id = given === '-' ? readFileSync(0, 'utf8').trim() : given;
  return id.startsWith('sub_')
    ? shell.call('GET', `${PATH}/${encodeURIComponent(id)}`)
    : shell.call('POST', `${PATH}/lookup`, { id });
};

function show(shell: Shell, subject: SubjectDetailAnswer): void {
  if (shell.json) return shell.print(stringifyJson(subject, 2));
  const { id, state, createdAt, erasedAt, events, notReached } = subject;
  if (shell.quiet) return shell.print(id);
  shell.table(
    ['PERSON', 'STATE', 'SINCE', 'ERASED', 'EVENTS'],
    [[id, state, createdAt, erasedAt ?? '', String(events)]],
  );
  const { sent, sentTotal, copies } = notReached;
  if (sentTotal > 0) {
    shell.print(`Sent to others, which an erasure does not reach (${sent.length} of ${sentTotal}):`);
    shell.table(
      ['EVENT', 'TYPE', 'ABOUT', 'AT'],
      sent.map(({ eventId, type, subject: about, at }) => [eventId, type, about, at]),
    );
  }
  for (const copy of copies) shell.note(copy);
}
