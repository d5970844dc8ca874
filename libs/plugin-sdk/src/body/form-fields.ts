import { isUtf8 } from 'node:buffer';

import { type Charset, latin1 } from './body-text.js';

const BAD_PERCENT = /%(?![0-9a-f]{2})/i;

/**
 * The fields of a form; a field that comes several times is a list. Values are in UTF-8, or in Latin-1 where the sender
 * says so or they are not valid UTF-8: older senders write that. `undefined` if a percent sign is not followed by two hex
 * digits.
 */
export function formFields(body: Buffer, charset: Charset): Record<string, string | string[]> | undefined {
  // One character a byte: the encoding is looked at value by value.
  const text = body.toString('latin1');
  if (BAD_PERCENT.test(text)) return undefined;
  const fields = new Map<string, string | string[]>();
  for (const part of text.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = decoded(equals < 0 ? part : part.slice(0, equals), charset);
    const value = equals < 0 ? '' : decoded(part.slice(equals + 1), charset);
    const before = fields.get(name);
    if (before === undefined) fields.set(name, value);
    else if (typeof before === 'string') fields.set(name, [before, value]);
    else before.push(value);
  }
  // As own properties, `__proto__` included.
  return Object.fromEntries(fields);
}

const PLAIN = /^[\x20-\x24\x26-\x2a\x2c-\x7e]*$/;

function decoded(part: string, charset: Charset): string {
  if (PLAIN.test(part)) return part;
  const spaced = part.replaceAll('+', ' ');
  const bytes = Buffer.from(
    spaced.includes('%') ? spaced.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => BYTES[parseInt(hex, 16)]!) : spaced,
    'latin1',
  );
  return charset !== 'latin-1' && isUtf8(bytes) ? bytes.toString('utf8') : latin1(bytes);
}

const BYTES = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));
