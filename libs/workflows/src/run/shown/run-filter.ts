import type { SelectQueryBuilder } from 'typeorm';

import { type RunFilter, RunStatus, WorkflowTrigger } from '#libs/events/src/shapes/run-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuidOf } from '#libs/kernel/src/ids.js';
import { isObject } from '#libs/kernel/src/json.js';
import { parseAsWritten, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { isStorable } from '#libs/kernel/src/text/text.js';
import { parseTime } from '#libs/kernel/src/time/times.js';

import { oneOf } from '../../workflow/workflow-filter.js';
import type { RunView } from '../run.view.js';

export const STATUSES = RunStatus.anyOf.map(({ const: status }) => status);
export const TRIGGERS = WorkflowTrigger.anyOf.map(({ const: kind }) => kind);

/** What the list can be asked for. */
export type ListFilter = RunFilter & { readonly status?: string };

const PLAIN = [
  'workflow',
  'version',
  'status',
  'trigger',
  'eventId',
  'correlation',
  'errorCode',
  'from',
  'to',
] as const satisfies readonly (keyof ListFilter)[];

/** The filter in a query string: `input.branch=main` and `label.team=payments` name an input and a label. */
export function filterIn(query: Readonly<Record<string, unknown>>): ListFilter {
  const named = (prefix: string): Record<string, string> =>
    Object.fromEntries(
      Object.entries(query).flatMap(([key, value]) =>
        key.startsWith(prefix) && typeof value === 'string' ? [[key.slice(prefix.length), value]] : [],
      ),
    );
  const plain = PLAIN.flatMap((key) => (typeof query[key] === 'string' && query[key] ? [[key, query[key]]] : []));
  const [inputs, labels] = [named('input.'), named('label.')];
  return {
    ...(Object.fromEntries(plain) as ListFilter),
    ...(Object.keys(inputs).length > 0 && { inputs }),
    ...(Object.keys(labels).length > 0 && { labels }),
  };
}

/**
 * Narrows a query of runs, each condition by an index.
 * @param labelled names of the workflows that have all these labels.
 * @throws Rejected `list.bad_filter`
 */
export function narrow(
  query: SelectQueryBuilder<RunView>,
  filter: ListFilter,
  labelled: (labels: Readonly<Record<string, string>>) => readonly string[],
): void {
  const { workflow, version, status, trigger, eventId, correlation, errorCode, from, to, inputs, labels } = filter;
  oneOf('status', status, STATUSES);
  oneOf('trigger', trigger, TRIGGERS);
  for (const text of [workflow, version, eventId, errorCode])
    if (text !== undefined && !isStorable(text)) return void query.andWhere('false');
  if (workflow) query.andWhere('run.workflow = :workflow', { workflow });
  if (version) query.andWhere('run.version = :version', { version });
  if (status) query.andWhere('run.status = :status', { status });
  if (trigger) query.andWhere('run.trigger = :trigger', { trigger });
  if (eventId) query.andWhere('run.eventId = :eventId', { eventId });
  if (correlation) query.andWhere('run.correlationId = :story', { story: storyOf(correlation) });
  if (errorCode) query.andWhere(`run.error is not null and run.error->>'code' = :errorCode`, { errorCode });
  if (from) query.andWhere('run.startedAt >= :from', { from: timeOf('from', from) });
  if (to) query.andWhere('run.startedAt < :to', { to: timeOf('to', to) });
  for (const [index, one] of Object.entries(inputs ?? {}).entries()) {
    if (!one.every(isStorable)) return void query.andWhere('false');
    const among = valuesOf(one[1]).map((value) => stringifyJson({ [one[0]]: value }));
    const conditions = among.map((_, nth) => `run.inputs @> :input${index}_${nth}::jsonb`);
    query.andWhere(`run.inputs is not null and (${conditions.join(' or ')})`);
    query.setParameters(Object.fromEntries(among.map((value, nth) => [`input${index}_${nth}`, value])));
  }
  if (labels) query.andWhere('run.workflow = any(:labelled)', { labelled: labelled(labels) });
}

/** Most characters of an input by which runs are found. */
const MAX_TEXT = 200;

/** What of a run's inputs it can be found by. */
export function searchable(inputs: Readonly<Record<string, unknown>>): Record<string, unknown> | null {
  const kept = Object.entries(inputs).filter(
    ([, value]) =>
      typeof value === 'number' ||
      typeof value === 'boolean' ||
      (typeof value === 'string' && value.length <= MAX_TEXT),
  );
  return kept.length === 0 ? null : Object.fromEntries(kept);
}

/** `5` in a URL may be a text or a number. */
function valuesOf(text: string): readonly unknown[] {
  const parsed: unknown = /^(true|false|-?\d+(\.\d+)?)$/.test(text) ? parseAsWritten(text) : undefined;
  return parsed === undefined || isObject(parsed) ? [text] : [text, parsed];
}

function storyOf(id: string): string {
  const uuid = uuidOf('evt', id);
  if (uuid !== undefined) return uuid;
  throw new Rejected(
    'invalid',
    'list.bad_filter',
    '"correlation" must be the id of the first event of a story: evt_….',
  );
}

function timeOf(name: string, text: string): Date {
  const time = parseTime(text);
  if (time) return time;
  throw new Rejected('invalid', 'list.bad_filter', `"${name}" must be a time such as 2026-11-20T13:14:15Z.`);
}
