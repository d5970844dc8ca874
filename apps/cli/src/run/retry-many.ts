import type { BulkRetryAnswer, BulkRetryStart } from '#libs/events/src/shapes/run-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { UsageError } from '../failures.js';
import type { Given } from '../nouns/verb-table.js';
import type { Shell } from '../shell.js';
import { filterOf } from './run-filter.js';
import { nextLook } from './next-look.js';

/** `run retry --all`: says how many runs match, and with `--yes` retries them and follows until the last one. */
export async function retryMany(shell: Shell, given: Given): Promise<number> {
  const filter = filterOf(given);
  const rate = given['rate'] === undefined ? {} : { rate: wholeNumber(given['rate']) };
  const { count } = await shell.call<BulkRetryStart>('POST', '/api/v1/runs/retry', { filter });
  if (!given['yes']) {
    if (shell.json) shell.print(stringifyJson({ count, started: false }, 2));
    else
      shell.print(
        shell.quiet ? String(count) : `${count} failed runs match. Repeat the command with --yes to retry them.`,
      );
    return 0;
  }
  if (count === 0) {
    if (shell.json) shell.print(stringifyJson({ count, started: false }, 2));
    else shell.note('There are no such runs.');
    return 0;
  }
  const { id } = await shell.call<BulkRetryStart>('POST', '/api/v1/runs/retry', { filter, confirm: count, ...rate });
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

function wholeNumber(given: unknown): number {
  const rate = Number(given);
  if (!Number.isInteger(rate) || rate < 1)
    throw new UsageError(`--rate must be a whole number, not "${String(given)}".`);
  return rate;
}
