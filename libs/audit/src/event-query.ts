import { catalogue } from '#libs/events/src/catalogue.js';
import { eventUuidOf } from '#libs/events/src/envelope.js';
import { typeMatcher } from '#libs/events/src/patterns.js';
import { type CompiledExpression, compile } from '#libs/expressions/src/compile.js';
import { type Problem, Rejected } from '#libs/kernel/src/errors.js';
import { isUuid, type Uuid } from '#libs/kernel/src/ids.js';
import { parseTime } from '#libs/kernel/src/times.js';

export type Order = 'asc' | 'desc';

/** What somebody wants to see of the log. */
export interface EventQuery {
  readonly orgId: string;
  /** By name, glob, or `*`, which leaves out system types; empty means all of them, system types too. */
  readonly types: readonly string[];
  readonly source?: string;
  readonly subject?: string;
  readonly correlation?: Uuid;
  /** Inclusive. */
  readonly from?: Date;
  /** Exclusive. */
  readonly to?: Date;
  readonly fromPosition?: bigint;
  readonly toPosition?: bigint;
  /** JMESPath over the event. */
  readonly filter?: CompiledExpression;
  readonly order: Order;
  readonly limit: number;
  /** Position of the last one seen. */
  readonly after?: bigint;
}

export type Parameters = Readonly<Record<string, string | readonly string[] | undefined>>;

const KNOWN = [
  'type',
  'source',
  'subject',
  'correlation',
  'from',
  'to',
  'fromPosition',
  'toPosition',
  'filter',
  'order',
  'limit',
  'cursor',
];

/**
 * The query string, checked.
 * @throws Rejected `query.invalid` naming every parameter that is wrong; `expression.malformed` for the filter.
 */
export function parseQuery(parameters: Parameters, orgId: string, orderByDefault: Order): EventQuery {
  const problems: Problem[] = [];
  const one = (name: string): string | undefined => {
    const value = parameters[name];
    if (typeof value === 'string') return value === '' ? undefined : value;
    if (value !== undefined) problems.push({ pointer: `/${name}`, detail: 'is given more than once' });
    return undefined;
  };
  const parsed = <T>(name: string, allowed: string, parse: (text: string) => T | undefined): T | undefined => {
    const text = one(name);
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) problems.push({ pointer: `/${name}`, detail: `allowed is ${allowed}` });
    return value;
  };
  for (const name of Object.keys(parameters))
    if (!KNOWN.includes(name))
      problems.push({ pointer: `/${name}`, detail: `is not known here; known are ${KNOWN.join(', ')}` });

  const position = 'a position as answers give it, a whole number';
  const source = one('source');
  const subject = one('subject');
  const correlation = parsed('correlation', 'the id of an event (evt_…)', uuidOf);
  const from = parsed('from', 'a time such as 2026-11-20T13:00:00Z', parseTime);
  const to = parsed('to', 'a time such as 2026-11-20T14:00:00Z', parseTime);
  const fromPosition = parsed('fromPosition', position, positionOf);
  const toPosition = parsed('toPosition', position, positionOf);
  const after = parsed('cursor', 'the nextCursor of an answer', cursorPosition);
  const order = parsed('order', 'asc (oldest first) or desc (newest first)', (text) =>
    text === 'asc' || text === 'desc' ? text : undefined,
  );
  const limit = parsed('limit', 'a whole number from 1 to 200', limitOf);
  const expression = one('filter');
  if (problems.length > 0)
    throw new Rejected(
      'invalid',
      'query.invalid',
      `The query cannot be used: ${problems.map(({ pointer, detail }) => `${pointer.slice(1)} ${detail}`).join('; ')}.`,
      { problems },
    );
  return {
    orgId,
    types: typesOf(parameters['type']),
    order: order ?? orderByDefault,
    limit: limit ?? 50,
    ...(source !== undefined && { source }),
    ...(subject !== undefined && { subject }),
    ...(correlation !== undefined && { correlation }),
    ...(from && { from }),
    ...(to && { to }),
    ...(fromPosition !== undefined && { fromPosition }),
    ...(toPosition !== undefined && { toPosition }),
    ...(after !== undefined && { after }),
    ...(expression !== undefined && { filter: compile(expression) }),
  };
}

/** `type=a&type=b` and `type=a,b` mean the same. */
const typesOf = (value: string | readonly string[] | undefined): readonly string[] =>
  (value === undefined ? [] : typeof value === 'string' ? [value] : value)
    .flatMap((text) => text.split(','))
    .map((text) => text.trim())
    .filter((text) => text !== '');

const uuidOf = (text: string): Uuid | undefined => eventUuidOf(text) ?? (isUuid(text) ? text : undefined);

const positionOf = (text: string): bigint | undefined => (/^\d{1,18}$/.test(text) ? BigInt(text) : undefined);

function limitOf(text: string): number | undefined {
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  return limit >= 1 && limit <= 200 ? limit : undefined;
}

export const cursorOf = (position: bigint): string => Buffer.from(String(position)).toString('base64url');

const cursorPosition = (cursor: string): bigint | undefined =>
  positionOf(Buffer.from(cursor, 'base64url').toString('latin1'));

/** An SQL condition with its parameters, numbered from 1. */
export interface Condition {
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** Types that `*` leaves out, for the database to leave out too. */
const hidden = (): readonly string[] => {
  const ordinary = typeMatcher(['*']);
  return Object.keys(catalogue).filter((type) => !ordinary(type));
};

/** The part of a query that the index can answer, after position `after`. */
export function conditionOf(query: EventQuery, after: bigint | undefined): Condition {
  const values: unknown[] = [query.orgId];
  const parts = ['org_id = $1'];
  const add = (sql: (parameter: string) => string, value: unknown): void => {
    values.push(value);
    parts.push(sql(`$${values.length}`));
  };
  if (query.types.length > 0) {
    const alternatives = query.types.map((pattern) => {
      values.push(pattern === '*' ? hidden() : pattern.includes('*') ? likeOf(pattern) : pattern);
      const parameter = `$${values.length}`;
      if (pattern === '*') return `type <> all(${parameter}::text[])`;
      return pattern.includes('*') ? `type like ${parameter}` : `type = ${parameter}`;
    });
    parts.push(`(${alternatives.join(' or ')})`);
  }
  for (const name of ['source', 'subject'] as const) {
    const pattern = query[name];
    if (pattern === undefined) continue;
    if (pattern.includes('*')) add((parameter) => `${name} like ${parameter}`, likeOf(pattern));
    else add((parameter) => `${name} = ${parameter}`, pattern);
  }
  if (query.correlation) add((parameter) => `correlation = ${parameter}`, query.correlation);
  if (query.from) add((parameter) => `timestamp >= ${parameter}`, query.from.toISOString());
  if (query.to) add((parameter) => `timestamp < ${parameter}`, query.to.toISOString());
  if (query.fromPosition !== undefined) add((parameter) => `position >= ${parameter}`, String(query.fromPosition));
  if (query.toPosition !== undefined) add((parameter) => `position <= ${parameter}`, String(query.toPosition));
  if (after !== undefined)
    add((parameter) => `position ${query.order === 'asc' ? '>' : '<'} ${parameter}`, String(after));
  return { sql: parts.join(' and '), values };
}

/** A glob as LIKE has it: everything but `*` stands for itself. */
const likeOf = (glob: string): string => glob.replace(/[\\%_]/g, '\\$&').replaceAll('*', '%');
