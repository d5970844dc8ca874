import type { RunFilter } from '#libs/events/src/shapes/run-shape.js';

import type { Given } from '../nouns/verb-table.js';
import { textsOf } from '../options.js';

/** Options of the verbs that are about many runs. */
export const FILTER_OPTIONS = [
  ['--workflow <name>', 'of this workflow'],
  ['--version <version>', 'of this version (its hash)'],
  ['--trigger <kind>', 'started by event, schedule, webhook, manual or request'],
  ['--event <event>', 'started by this event'],
  ['--correlation <event>', 'of the story that this event began'],
  ['--error-code <code>', 'failed with this code'],
  ['--from <time>', 'started since then'],
  ['--to <time>', 'started before then'],
  ['--input <name=value>...', 'with this value of an input'],
  ['--label <name=value>...', 'of workflows with this label'],
] as const;

/** What these options say. */
export function filterOf(given: Given): RunFilter {
  const { event, input, label } = given;
  const plain = ['workflow', 'version', 'trigger', 'correlation', 'errorCode', 'from', 'to'].flatMap((key) =>
    typeof given[key] === 'string' ? [[key, given[key]]] : [],
  );
  return {
    ...(Object.fromEntries(plain) as RunFilter),
    ...(typeof event === 'string' && { eventId: event }),
    ...(input && { inputs: textsOf('--input', input) }),
    ...(label && { labels: textsOf('--label', label) }),
  };
}

/** The same as a query string, with its `?`. */
export function queryOf({ inputs = {}, labels = {}, ...plain }: RunFilter & { readonly status?: string }): string {
  const query = new URLSearchParams(Object.entries(plain));
  for (const [name, value] of Object.entries(inputs)) query.set(`input.${name}`, value);
  for (const [name, value] of Object.entries(labels)) query.set(`label.${name}`, value);
  return query.size === 0 ? '' : `?${query.toString()}`;
}
