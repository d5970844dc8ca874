import pg from 'pg';

import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { storable } from '#libs/kernel/src/text/text.js';

/**
 * A parameter as `pg` sends it. Arrays are most of what is sent, one for each column of a set of rows: here they become the
 * text that PostgreSQL reads, in one walk that also replaces what it cannot store.
 */
export function wireValue(value: unknown): unknown {
  if (typeof value === 'string') return storable(value);
  return Array.isArray(value) ? arrayLiteral(value) : value;
}

const NEEDS_ESCAPE = /["\\]/;

function arrayLiteral(items: readonly unknown[]): string {
  let text = '{';
  for (let index = 0; index < items.length; index++) {
    if (index > 0) text += ',';
    text += element(items[index]);
  }
  return `${text}}`;
}

function element(item: unknown): string {
  if (item === null || item === undefined) return 'NULL';
  switch (typeof item) {
    case 'string':
      return quoted(storable(item));
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(item);
    default:
      if (Array.isArray(item)) return arrayLiteral(item);
      if (item instanceof Uint8Array) return `"\\\\x${Buffer.from(item).toString('hex')}"`;
      if (item instanceof Date) return quoted(textOf(item));
      return quoted(storable(stringifyJson(item)));
  }
}

/** PostgreSQL does not read ISO 8601 where a year has more than four digits, or is before the first. */
const textOf = (date: Date): string => {
  const text = date.toISOString();
  return /^\d/.test(text)
    ? text
    : String((pg as unknown as { utils: { prepareValue(date: Date): string } }).utils.prepareValue(date));
};

const quoted = (text: string): string =>
  NEEDS_ESCAPE.test(text) ? `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"` : `"${text}"`;
