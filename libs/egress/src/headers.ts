import { Rejected } from '#libs/kernel/src/errors.js';

/** Headers of one connection, or computed: setting them would change where or how a request is sent. */
const FORBIDDEN = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/;
/** Visible ASCII, space, tab and Latin-1: no line break, no NUL. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const MAX_LENGTH = 8192;

/** Why a header cannot be sent; `undefined` if it can. */
export function headerRefusal(name: string, value: string): string | undefined {
  if (!NAME.test(name)) return `"${name.slice(0, 60)}" is not a valid header name.`;
  if (FORBIDDEN.has(name.toLowerCase())) return `The header ${name} is set by Millrace. Remove it.`;
  if (value.length > MAX_LENGTH)
    return `The value of the header ${name} must have at most ${MAX_LENGTH} characters. It has ${value.length}.`;
  if (!VALUE.test(value))
    return `The value of the header ${name} must not contain a line break, another control character, or a character beyond Latin-1.`;
  return undefined;
}

/** @throws Rejected `egress.header_refused` naming the first header that cannot be sent. */
export function checkHeaders(headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) {
    const reason = headerRefusal(name, value);
    if (reason !== undefined) throw new Rejected('invalid', 'egress.header_refused', reason);
  }
}
