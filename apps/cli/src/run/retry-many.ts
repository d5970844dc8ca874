import type { BulkRetryAnswer, BulkRetryStart } from '#libs/events/src/shapes/run-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { UsageError } from '../failures.js';
import type { Given } from '../nouns/verb-table.js';
import { wholeNumber } from '../options.js';
import type { Shell } from '../shell.js';
import { filterOf } from './run-filter.js';
import { nextLook } from './next-look.js';

/** `run retry --all` counts the runs that match; with `--yes` or their number it retries them and follows until the last one. */
export async function retryMany(shell: Shell, given: Given): Promise<number> {
  const filter = filterOf(given);
  const rate = wholeNumber('--rate', given['rate']);
  const expected = wholeNumber('--confirm', given['confirm']);
  const { count } = await shell.call<BulkRetryStart>('POST', '/api/v1/runs/retry', { filter });
  if (!given['yes'] && expected === undefined) {
    if (shell.json) shell.print(stringifyJson({ count, started: false }, 2));
    else
      shell.print(
        shell.quiet
          ? String(count)
          : `${count} failed runs match. Repeat the command with --confirm ${count} to retry them.`,
      );
    return 0;
  }
  if (expected !== undefined && expected !== count)
    throw new UsageError(`${count} failed runs match, not ${expected}. Use --confirm ${count} to retry them.`);
  if (count === 0) {
    if (shell.json) shell.print(stringifyJson({ count, started: false }, 2));
    else shell.note('There are no such runs.');
    return 0;
  }
  // The server counts again: a run that failed meanwhile is not retried unasked.
  const request = { filter, confirm: count, ...(rate !== undefined && { rate }) };
  const { id } = await shell.call<BulkRetryStart>('POST', '/api/v1/runs/retry', request);
  const path = `/api/v1/run-retries/${id}`;
  let shown = await shell.call<BulkRetryAnswer>('GET', path);
  while (shown.status === 'running' && !shell.signal.aborted) {
    shell.bar(`${shown.retried + shown.refused} of ${count} runs`);
    await nextLook(shell.signal);
    shown = await shell.call<BulkRetryAnswer>('GET', path);
  }
  shell.bar(undefined);
  if (shell.json) shell.print(stringifyJson(shown, 2));
  else if (shell.quiet) shell.print(shown.id);
  else shell.print(`${shown.id} is ${shown.status}: ${shown.retried} runs retried, ${shown.refused} refused.`);
  return shown.refused > 0 ? 1 : 0;
}
