import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { headersOf } from '#libs/plugin-sdk/src/http-file.js';

import { EXIT } from '../failures.js';
import { httpFileAt } from '../options.js';
import type { Shell } from '../shell.js';
import { found } from './integration-verbs.js';

/** What a saved request would be answered. */
interface Trial {
  readonly accepted: boolean;
  readonly status: number;
  readonly code?: string;
  readonly detail?: string;
  readonly failed?: string;
  readonly wants?: string;
  readonly found?: Readonly<Record<string, number>>;
  readonly hints?: readonly string[];
  readonly authentication?: string;
  readonly eventType?: string | null;
  readonly deliveryId?: string | null;
  readonly duplicate?: boolean;
  readonly events?: readonly { readonly type: string }[];
}

/** The exit code: 0, or 1 where the request would be refused. */
export async function verify(shell: Shell, given: string, path: string): Promise<number> {
  const file = httpFileAt(path);
  const { id, slug } = await found(shell, given);
  const trial = await shell.call<Trial>('POST', `/api/v1/integrations/${id}/verify`, {
    method: file.method,
    url: file.target.replaceAll('{slug}', slug).replaceAll('{id}', id),
    headers: headersOf(file),
    ...(file.body.length > 0 && { body: file.body.toString('utf8') }),
  });
  const lines = shell.json ? [stringifyJson(trial, 2)] : shell.quiet ? [answerOf(trial)] : inWords(trial);
  lines.forEach((line) => shell.print(line));
  return trial.accepted ? 0 : EXIT.no;
}

const answerOf = ({ accepted, status, code }: Trial): string =>
  `${accepted ? 'accepted' : 'refused'}: ${status}${code === undefined ? '' : ` ${code}`}`;

function inWords(trial: Trial): string[] {
  const { accepted, detail, failed, wants, hints = [], authentication, eventType, deliveryId, duplicate } = trial;
  const lines = [answerOf(trial)];
  const add = (label: string, value: string | null | undefined): void => {
    if (value !== undefined && value !== null && value !== '') lines.push(`  ${label}: ${value}`);
  };
  add('detail', detail);
  if (accepted) {
    add('proved by', authentication);
    add('event', eventType);
    add('becomes', trial.events?.map(({ type }) => type).join(', '));
    add('delivery', deliveryId === null ? 'new each time' : deliveryId);
    if (duplicate === true) lines.push('  It is recorded already.');
    return lines;
  }
  add('does not fit', failed);
  add('wanted', wants);
  const headers = Object.entries(trial.found ?? {}).map(([name, length]) => `${name} (${length})`);
  add('headers that came, with their lengths', headers.join(', '));
  for (const hint of hints) add('hint', hint);
  return lines;
}
