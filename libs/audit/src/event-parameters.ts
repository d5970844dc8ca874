import { type EventQuery, TIMES } from '#libs/event-index/src/event-query.js';
import { eventUuidOf } from '#libs/events/src/envelope.js';
import { compile } from '#libs/expressions/src/compile.js';
import { isUuid, type Uuid } from '#libs/kernel/src/ids.js';
import { Problems } from '#libs/kernel/src/problems.js';
import { parseTime } from '#libs/kernel/src/time/times.js';

export type Parameters = Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * How events are answered: a page of them, the newest first, or one after the other without an end of its own, the oldest
 * first.
 */
const LAYOUTS = {
  page: { order: 'desc', limit: 50, most: 200 },
  lines: { order: 'asc', limit: Infinity, most: 999_999_999 },
} as const;

/**
 * The query string, checked. The guard has refused unknown parameters.
 * @throws Rejected `query.invalid` naming every parameter that is wrong; `expression.malformed` for the filter.
 */
export function parseQuery(parameters: Parameters, orgId: string, layout: keyof typeof LAYOUTS): EventQuery {
  const byDefault = LAYOUTS[layout];
  const problems = new Problems('query');
  const one = (name: string): string | undefined => {
    const value = parameters[name];
    if (typeof value === 'string') return value === '' ? undefined : value;
    if (value !== undefined) problems.add(`/${name}`, 'Must be given once.');
    return undefined;
  };
  const parsed = <T>(name: string, allowed: string, parse: (text: string) => T | undefined): T | undefined => {
    const text = one(name);
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) problems.add(`/${name}`, `Must be ${allowed}.`);
    return value;
  };

  const position = 'a position as answers give it, a whole number';
  const source = one('source');
  const subject = one('subject');
  const correlation = parsed('correlation', 'the id of an event (evt_…)', uuidOf);
  const by = parsed('by', TIMES.join(' or '), (text) => TIMES.find((time) => time === text));
  const from = parsed('from', 'a time such as 2026-11-20T13:00:00Z', parseTime);
  const to = parsed('to', 'a time such as 2026-11-20T14:00:00Z', parseTime);
  const fromPosition = parsed('fromPosition', position, positionOf);
  const toPosition = parsed('toPosition', position, positionOf);
  const after = parsed('cursor', 'the nextCursor of an answer', cursorPosition);
  const order = parsed('order', 'asc (oldest first) or desc (newest first)', (text) =>
    text === 'asc' || text === 'desc' ? text : undefined,
  );
  const limit = parsed('limit', `a whole number from 1 to ${byDefault.most}`, (text) => limitOf(text, byDefault.most));
  const actor = one('actor');
  const words = parsed('text', `1 to ${MOST_WORDS} words`, wordsOf);
  const expression = one('filter');
  problems.throwIfAny('query.invalid', 'The query is invalid');
  return {
    orgId,
    types: typesOf(parameters['type']),
    order: order ?? byDefault.order,
    limit: limit ?? byDefault.limit,
    by: by ?? 'receivedAt',
    includesQuarantined: true,
    ...(source !== undefined && { source }),
    ...(subject !== undefined && { subject }),
    ...(correlation !== undefined && { correlation }),
    ...(from && { from }),
    ...(to && { to }),
    ...(fromPosition !== undefined && { fromPosition }),
    ...(toPosition !== undefined && { toPosition }),
    ...(after !== undefined && { after }),
    ...(actor !== undefined && { actor }),
    ...(words !== undefined && { words }),
    ...(expression !== undefined && { filter: compile(expression) }),
  };
}

/**
 * Where a stream goes on: after the position that the client saw last, or after the one that it names; absent if neither.
 * @throws Rejected `query.invalid`
 */
export function resumePoint(after: Parameters[string], lastEventId: string | undefined): bigint | undefined {
  const problems = new Problems('query');
  const at = (pointer: string, text: Parameters[string]): bigint | undefined => {
    if (text === undefined || text === '') return undefined;
    const position = typeof text === 'string' ? positionOf(text) : undefined;
    if (position === undefined) problems.add(pointer, 'Must be a position as answers give it, a whole number.');
    return position;
  };
  const seen = at('/Last-Event-ID', lastEventId);
  const named = at('/after', after);
  problems.throwIfAny('query.invalid', 'The query is invalid');
  return seen ?? named;
}

/** `type=a&type=b` and `type=a,b` mean the same. */
const typesOf = (value: string | readonly string[] | undefined): readonly string[] =>
  (value === undefined ? [] : typeof value === 'string' ? [value] : value)
    .flatMap((text) => text.split(','))
    .map((text) => text.trim())
    .filter((text) => text !== '');

const MOST_WORDS = 10;

function wordsOf(text: string): readonly string[] | undefined {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  return words.length >= 1 && words.length <= MOST_WORDS ? words : undefined;
}

const uuidOf = (text: string): Uuid | undefined => eventUuidOf(text) ?? (isUuid(text) ? text : undefined);

const positionOf = (text: string): bigint | undefined => (/^\d{1,18}$/.test(text) ? BigInt(text) : undefined);

function limitOf(text: string, most: number): number | undefined {
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  return limit >= 1 && limit <= most ? limit : undefined;
}

export const cursorOf = (position: bigint): string => Buffer.from(String(position)).toString('base64url');

const cursorPosition = (cursor: string): bigint | undefined =>
  positionOf(Buffer.from(cursor, 'base64url').toString('latin1'));
