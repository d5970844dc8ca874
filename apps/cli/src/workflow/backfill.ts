import type { Backfill } from '#libs/events/src/shapes/workflow-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { UsageError } from '../failures.js';
import type { Given, Verb } from '../nouns/verb-table.js';
import { wholeNumber } from '../options.js';
import { nextLook } from '../run/next-look.js';
import type { Shell } from '../shell.js';

const DEFAULT_RATE = 10;

type Tick = Backfill['ticks'][number];

export const backfillVerb: Verb = {
  usage: 'backfill <workflow>',
  does: 'start the runs that its schedules missed; repeat it to go on where it stopped',
  options: [
    ['--from <time>', 'times from then on, RFC 3339'],
    ['--to <time>', 'times before then, RFC 3339'],
    ['--dry-run', 'list the missed times and start nothing'],
    ['--yes', 'start them, however many they are'],
    ['--confirm <number>', 'start them if they are this many'],
    ['--rate <number>', `runs a second (${DEFAULT_RATE})`],
  ],
  run: backfill,
};

/** Counts first. The ticks of each second are a request of their own: a run that started is never started again. */
async function backfill(shell: Shell, [name]: readonly string[], given: Given): Promise<number> {
  const { from, to, yes, confirm } = given;
  if (typeof from !== 'string' || typeof to !== 'string') throw new UsageError('Give a range: --from and --to.');
  const rate = wholeNumber('--rate', given['rate']) ?? DEFAULT_RATE;
  const expected = wholeNumber('--confirm', confirm);
  const path = `/api/v1/workflows/${encodeURIComponent(name!)}/schedule/backfill`;
  const { count, ticks } = await shell.call<Backfill>('POST', path, { from, to });
  if (given['dryRun'] || count === 0 || (!yes && expected === undefined)) {
    report(shell, ticks, given['dryRun'] === true);
    return 0;
  }
  if (expected !== undefined && expected !== count)
    throw new UsageError(`${count} times were missed, not ${expected}. Use --confirm ${count} to start them.`);
  let started = 0;
  for (const part of bySecond(ticks, rate)) {
    if (shell.signal.aborted) break;
    const range = { from: part[0]!.at, to: new Date(Date.parse(part.at(-1)!.at) + 1).toISOString() };
    await shell.call<Backfill>('POST', path, { ...range, count: part.length });
    started += part.length;
    shell.bar(`${started} of ${count} runs`);
    if (started < count) await nextLook(shell.signal);
  }
  shell.bar(undefined);
  if (shell.json) shell.print(stringifyJson({ workflow: name, count, started }, 2));
  else shell.print(shell.quiet ? String(started) : `${started} of ${count} runs of "${name}" started.`);
  if (started < count) shell.note('Repeat the command to start the others.');
  return started < count ? 1 : 0;
}

function report(shell: Shell, ticks: readonly Tick[], isDry: boolean): void {
  if (shell.json) return shell.print(stringifyJson({ count: ticks.length, started: 0, ticks }, 2));
  if (shell.quiet) return shell.print(String(ticks.length));
  if (ticks.length === 0) return shell.note('No times were missed in this range.');
  shell.table(
    ['AT', 'SCHEDULE'],
    ticks.map(({ at, trigger }) => [at, trigger]),
  );
  const start = isDry ? '' : ' Repeat the command with --yes to start a run for each.';
  shell.note(`${ticks.length} times were missed.${start}`);
}

/** Parts of at most `rate` ticks; those of the same time stay together, since a request names a range. */
function bySecond(ticks: readonly Tick[], rate: number): readonly (readonly Tick[])[] {
  const parts: Tick[][] = [];
  for (const tick of ticks) {
    const last = parts.at(-1);
    if (last && (last.length < rate || last.at(-1)!.at === tick.at)) last.push(tick);
    else parts.push([tick]);
  }
  return parts;
}
