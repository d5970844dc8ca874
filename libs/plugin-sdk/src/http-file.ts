/**
 * A request as it went over the wire, saved in a file: request line, headers, blank line, and the body byte for byte.
 *
 * ```http
 * POST /api/v1/webhooks/inbound/{slug} HTTP/1.1
 * content-type: application/json
 *
 * {"message":"up"}
 * ```
 *
 * Lines of the head may end in LF or CRLF, and those before the request line that begin with `#` are comments. The body
 * is everything after the first blank line, a last line break included: signatures are made over it.
 */
export interface HttpFile {
  readonly method: string;
  /** As written: a path, perhaps with placeholders in braces, and a query. */
  readonly target: string;
  /** In the order of the file, names in lower case; a name may come several times. A character of a value is one byte. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

/** What is wrong with a saved request: the line, from 1, and what belongs there. */
export class HttpFileError extends Error {
  override readonly name = 'HttpFileError';
  constructor(
    readonly line: number,
    readonly detail: string,
  ) {
    super(`line ${line}: ${detail}`);
  }
}

const REQUEST_LINE = /^([A-Z]{1,20}) (\/\S*|https?:\/\/\S+)(?: HTTP\/[\d.]+)?$/;
/** What may stand in a name, by RFC 9110. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const LF = 0x0a;
const CR = 0x0d;

/** Reads a saved request. @throws HttpFileError */
export function parseHttpFile(bytes: Buffer): HttpFile {
  let line = 0;
  let at = 0;
  const next = (): string | undefined => {
    if (at >= bytes.length) return undefined;
    const found = bytes.indexOf(LF, at);
    const end = found < 0 ? bytes.length : found;
    const text = bytes.toString('latin1', at, end > at && bytes[end - 1] === CR ? end - 1 : end);
    at = end + 1;
    line++;
    return text;
  };
  let first = next();
  while (first?.startsWith('#')) first = next();
  const [, method, target] = REQUEST_LINE.exec(first ?? '') ?? [];
  if (method === undefined || target === undefined)
    throw new HttpFileError(Math.max(line, 1), 'begin with a request line, such as POST /webhooks/{id} HTTP/1.1');
  const headers: (readonly [string, string])[] = [];
  for (let text = next(); text !== ''; text = next()) {
    if (text === undefined)
      throw new HttpFileError(line + 1, 'end the headers with a blank line, also where there is no body');
    const colon = text.indexOf(':');
    const name = text.slice(0, Math.max(colon, 0));
    if (!HEADER_NAME.test(name)) throw new HttpFileError(line, 'write a header as name: value');
    // Not `trim`: a character is a byte here, and some bytes of UTF-8 would look like blanks.
    headers.push([name.toLowerCase(), text.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')]);
  }
  return { method, target, headers, body: bytes.subarray(Math.min(at, bytes.length)) };
}

/** Writes a request so that {@link parseHttpFile} reads the same again. @throws RangeError for what no head can hold. */
export function writeHttpFile({ method, target, headers, body }: HttpFile): Buffer {
  const head = [`${method} ${target} HTTP/1.1`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  for (const text of head)
    if (/[\r\n]/.test(text)) throw new RangeError('a line of the head of a request holds a line break');
  return Buffer.concat([Buffer.from(`${head.join('\n')}\n\n`, 'latin1'), body]);
}

/** Headers by name, as a server has them: of one that comes several times, the values joined by `, `. */
export function headersOf({ headers }: HttpFile): Record<string, string> {
  const joined = new Map<string, string>();
  for (const [name, value] of headers) {
    const before = joined.get(name);
    joined.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return Object.fromEntries(joined);
}
