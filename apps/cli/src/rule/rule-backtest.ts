import { parseAsWritten } from '#libs/kernel/src/text/exact-json.js';
import { tryParseDuration } from '#libs/kernel/src/time/durations.js';

import { ServerSaidNo } from '../failures.js';
import type { BacktestLine, BacktestProgress, BacktestResult } from './rule-answers.js';

/** A place in time or in the log as the API takes it; `7d` is so long ago. */
export function boundOf(text: string, now: Date): string {
  const duration = tryParseDuration(text);
  return duration === undefined ? text : new Date(now.getTime() - duration).toISOString();
}

/** `rul_…`, `rul_…@3`, a name, or a name with `@3`. A name may hold an @ where no number follows. */
export function referenceOf(text: string): { readonly rule: string; readonly version?: number } {
  const [, rule, version] = /^(.+)@(\d{1,9})$/.exec(text) ?? [];
  return rule === undefined ? { rule: text } : { rule, version: Number(version) };
}

/**
 * Reads the lines of a streamed backtest to the end.
 * @throws ServerSaidNo if it says so, or ends without a result.
 */
export async function followBacktest(
  body: AsyncIterable<Uint8Array>,
  tell: (progress: BacktestProgress) => void,
): Promise<BacktestResult> {
  const decoder = new TextDecoder();
  let rest = '';
  let result: BacktestResult | undefined;
  const take = (text: string): void => {
    if (text.trim() === '') return;
    const line = parseAsWritten(text) as BacktestLine;
    if (line.error) throw new ServerSaidNo(500, line.error.code, line.error.detail);
    if (line.progress) tell(line.progress);
    if (line.result) result = line.result;
  };
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    lines.forEach(take);
  }
  take(rest);
  if (!result)
    throw new ServerSaidNo(500, 'backtest.cut_off', 'The server ended the backtest before it was done. Try again.');
  return result;
}
