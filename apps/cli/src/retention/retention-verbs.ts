import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { UsageError } from '../failures.js';
import type { Given, Verb } from '../nouns/verb-table.js';
import type { Shell } from '../shell.js';

const PATH = '/api/v1/retention';
const RETAINED = ['payloads', 'decisions', 'attempts', 'runs'] as const;
type Retained = (typeof RETAINED)[number];
type Days = Readonly<Record<Retained, number | null>>;

/** The verbs of `millrace retention`. */
export const retentionVerbs: readonly Verb[] = [
  { usage: 'view', does: 'show how long payloads, decisions, attempts and runs are kept', run: view },
  {
    usage: 'set',
    does: 'change how long they are kept; what is not given stays as it is',
    options: [
      ['--payloads <days>', 'received and published events: days, or "keep"'],
      ['--decisions <days>', 'decisions of rules and triggers: days, or "keep"'],
      ['--attempts <days>', 'deliveries, messages and actions: days, or "keep"'],
      ['--runs <days>', 'runs and executions of agents: days, or "keep"'],
    ],
    run: set,
  },
];

async function view(shell: Shell): Promise<void> {
  show(shell, await shell.call<Days>('GET', PATH));
}

async function set(shell: Shell, _: readonly string[], options: Given): Promise<void> {
  const changes = RETAINED.flatMap((kind) =>
    options[kind] === undefined ? [] : [[kind, daysOf(kind, options[kind])]],
  );
  if (changes.length === 0) throw new UsageError('Say what to change, such as --payloads 90.');
  const before = await shell.call<Days>('GET', PATH);
  show(shell, await shell.call<Days>('PUT', PATH, { ...before, ...(Object.fromEntries(changes) as object) }));
}

function daysOf(kind: Retained, text: unknown): number | null {
  if (text === 'keep') return null;
  const days = Number(text);
  if (!Number.isSafeInteger(days) || days < 1)
    throw new UsageError(`--${kind} must be a whole number of days from 1, or "keep".`);
  return days;
}

function show(shell: Shell, days: Days): void {
  if (shell.json) return shell.print(stringifyJson(days, 2));
  const textOf = (kind: Retained): string => (days[kind] === null ? 'kept' : `${days[kind]} days`);
  if (shell.quiet) return RETAINED.forEach((kind) => shell.print(`${kind} ${days[kind] ?? 'keep'}`));
  shell.table(
    ['WHAT', 'KEPT FOR'],
    RETAINED.map((kind) => [kind, textOf(kind)]),
  );
}
