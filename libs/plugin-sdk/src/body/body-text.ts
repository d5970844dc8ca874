import { isUtf8 } from 'node:buffer';

const UTF_8: ReadonlySet<string> = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii']);
const LATIN_1: ReadonlySet<string> = new Set(['iso-8859-1', 'iso8859-1', 'latin1', 'windows-1252', 'cp1252']);
const CHARSET = /;\s*charset\s*=\s*"?([^";\s]*)/i;

/** How the text of a body is encoded; `other` is what is not read. */
export type Charset = 'utf-8' | 'latin-1' | 'other';

/** As `Content-Type` says; UTF-8 where it does not. */
export function charsetOf(contentType: string | undefined): Charset {
  if (contentType === undefined || !contentType.includes(';')) return 'utf-8';
  const charset = CHARSET.exec(contentType)?.[1]?.toLowerCase() ?? '';
  return charset === '' || UTF_8.has(charset) ? 'utf-8' : LATIN_1.has(charset) ? 'latin-1' : 'other';
}

/** The text of a body, without a byte order mark; `undefined` if it is not in this charset. */
export function textOfBytes(bytes: Buffer, charset: Charset): string | undefined {
  if (charset === 'latin-1') return latin1(bytes);
  if (charset === 'other' || !isUtf8(bytes)) return undefined;
  const isMarked = bytes.length >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return bytes.toString('utf8', isMarked ? 3 : 0);
}

/** What the bytes 0x80 to 0x9f are in windows-1252, which is what senders mean by Latin-1. */
const WINDOWS = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';

/** Any bytes as text: each is one character of windows-1252. */
export const latin1 = (bytes: Buffer): string =>
  bytes.toString('latin1').replace(/[\x80-\x9f]/g, (character) => WINDOWS[character.charCodeAt(0) - 0x80]!);

/** The text of a header. Node reads each byte as one character; senders that write more than ASCII mean UTF-8. */
export function headerText(value: string): string {
  if (!/[\x80-\xff]/.test(value)) return value;
  const bytes = Buffer.from(value, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : value;
}
