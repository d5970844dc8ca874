import type { Difference, FieldDifference, PastChange } from '#libs/events/src/shapes/audit/as-of-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

const MOST = 60;

/** A difference between two points of the log, as lines. */
export function differenceLines({ from, to, data }: Difference): readonly string[] {
  if (data.length === 0) return [`Nothing changed between positions ${from} and ${to}.`];
  return data.flatMap(({ kind, key, name, change, changes }) => [
    `${change === 'passed' ? 'created and removed' : change} ${kind} ${[key, name === key ? '' : name].filter(Boolean).join(' ')}`.trimEnd(),
    ...changes.flatMap((one) => [`  ${headOf(one)}`, ...one.fields.map((field) => `    ${fieldText(field)}`)]),
  ]);
}

const headOf = ({ at, type, actor, actorName, eventId }: PastChange): string =>
  `${at} ${type} by ${actorName === null ? actor : `"${actorName}" (${actor})`}, ${eventId}`;

const fieldText = ({ pointer, before, after }: FieldDifference): string => {
  if (before === undefined) return `${pointer}: ${cut(after)}`;
  return after === undefined ? `${pointer}: ${cut(before)} was removed` : `${pointer}: ${cut(before)} → ${cut(after)}`;
};

function cut(value: unknown): string {
  const text = stringifyJson(value);
  return text.length > MOST ? `${text.slice(0, MOST - 1)}…` : text;
}
