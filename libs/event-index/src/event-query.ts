import { catalogue } from '#libs/events/src/catalogue.js';
import type { PlatformEvent } from '#libs/events/src/envelope.js';
import { isWide, typeMatcher } from '#libs/events/src/patterns.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

export type Order = 'asc' | 'desc';

/**
 * Which time of an event is meant: when it reached this system, or its `timestamp`, when it happened as its source says. What
 * is searched for is mostly new to this system, however long ago its source says that it happened.
 */
export const TIMES = ['receivedAt', 'timestamp'] as const;
export type TimeOf = (typeof TIMES)[number];

/** What somebody wants to see of the log. */
export interface EventQuery {
  readonly orgId: string;
  /** By name or glob; wide globs such as `*` leave out system types; empty means all of them, system types too. */
  readonly types: readonly string[];
  readonly source?: string;
  readonly subject?: string;
  readonly correlation?: Uuid;
  /** What `from` and `to` are compared with; default: `receivedAt`. */
  readonly by?: TimeOf;
  /** Inclusive. */
  readonly from?: Date;
  /** Exclusive. */
  readonly to?: Date;
  readonly fromPosition?: bigint;
  readonly toPosition?: bigint;
  // What the index cannot answer is asked about each event.
  /** By name or glob. */
  readonly actor?: string;
  /** In lower case: each must stand in a text of the data, at any depth. */
  readonly words?: readonly string[];
  readonly filter?: { test(event: PlatformEvent): boolean };
  /** For those who show the log. Whoever acts on events must pass over those in quarantine. */
  readonly includesQuarantined?: true;
  readonly order: Order;
  /** Infinity for all of them. */
  readonly limit: number;
  /** Position of the last one seen. */
  readonly after?: bigint;
}

/** An SQL condition with its parameters, numbered from 1. */
export interface Condition {
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** Types that wide globs leave out, for the database to leave out too. */
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
      const tests: string[] = [];
      const test = (sql: (parameter: string) => string, value: unknown): void => {
        values.push(value);
        tests.push(sql(`$${values.length}`));
      };
      if (isWide(pattern)) test((parameter) => `type <> all(${parameter}::text[])`, hidden());
      if (!pattern.includes('*')) test((parameter) => `type = ${parameter}`, pattern);
      else if (pattern !== '*') test((parameter) => `type like ${parameter}`, likeOf(pattern));
      return tests.join(' and ');
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
  const time = timeColumn(query.by);
  if (query.from) add((parameter) => `${time} >= ${parameter}`, query.from.toISOString());
  if (query.to) add((parameter) => `${time} < ${parameter}`, query.to.toISOString());
  if (query.fromPosition !== undefined) add((parameter) => `position >= ${parameter}`, String(query.fromPosition));
  if (query.toPosition !== undefined) add((parameter) => `position <= ${parameter}`, String(query.toPosition));
  if (after !== undefined)
    add((parameter) => `position ${query.order === 'asc' ? '>' : '<'} ${parameter}`, String(after));
  return { sql: parts.join(' and '), values };
}

export const timeColumn = (by: TimeOf = 'receivedAt'): string => (by === 'timestamp' ? 'timestamp' : 'received_at');

/** A glob as LIKE has it: everything but `*` stands for itself. */
const likeOf = (glob: string): string => glob.replace(/[\\%_]/g, '\\$&').replaceAll('*', '%');
