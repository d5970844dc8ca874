import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';

/** A message as it came. */
export interface RawMessage {
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Whether only the beginning of the body is here. */
  readonly truncated?: boolean;
}

/** What a body holds, read as its headers say. */
export type ReadBody = (
  | { readonly kind: 'empty' }
  | { readonly kind: 'text'; readonly text: string; readonly isJson: boolean }
  | { readonly kind: 'binary'; readonly bytes: Buffer; readonly contentType: string }
) & {
  /** Only the beginning: the rest did not come, is damaged, or is beyond `maxBytes`. */
  readonly isCut: boolean;
};

/**
 * Reads a body by its `Content-Encoding` (gzip, deflate, br) and `Content-Type` (charset, or a byte order mark). Texts
 * never lose a character: bytes that are invalid in the charset are read as windows-1252, which gives every byte a
 * character.
 * @param maxBytes of the unpacked body.
 */
export async function readHttpBody({ headers, body, truncated }: RawMessage, maxBytes: number): Promise<ReadBody> {
  const contentType = headers['content-type']?.trim() ?? '';
  const mediaType = contentType.split(';')[0]!.trim().toLowerCase();
  const unpacked = await unpack(body, encodingsIn(headers['content-encoding']), maxBytes);
  const bytes = unpacked.bytes.subarray(0, maxBytes);
  const isCut = truncated === true || unpacked.isCut || bytes.length < unpacked.bytes.length;
  if (bytes.length === 0) return { kind: 'empty', isCut };
  if (unpacked.isPacked || !isText(mediaType, contentType, bytes))
    return { kind: 'binary', bytes, contentType: mediaType, isCut };
  return { kind: 'text', text: textOf(bytes, contentType, isCut), isJson: JSON_TYPE.test(mediaType), isCut };
}

const JSON_TYPE = /^(?:application|text)\/json$|\+json$/;
const TEXT_TYPE =
  /^text\/|[/+](?:json|xml|yaml|csv)$|^application\/(?:x-)?(?:javascript|ecmascript|www-form-urlencoded|ndjson|json-seq|jsonlines|graphql|sql|toml)$/;
const BINARY_TYPE = /^(?:image|audio|video|font|model)\/|\/octet-stream$|^application\/(?:pdf|zip|gzip|wasm|protobuf)$/;

/** By its type; where that says nothing, by its bytes. */
function isText(mediaType: string, contentType: string, bytes: Buffer): boolean {
  if (TEXT_TYPE.test(mediaType)) return true;
  if (BINARY_TYPE.test(mediaType)) return false;
  return charsetIn(contentType) !== undefined || byteOrderMark(bytes) !== undefined || looksLikeText(bytes);
}

/** UTF-8 without the control characters that no text has. */
function looksLikeText(bytes: Buffer): boolean {
  const text = decoded(bytes, 'utf-8', true);
  return text !== undefined && !/[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(text);
}

function textOf(bytes: Buffer, contentType: string, isCut: boolean): string {
  const named = byteOrderMark(bytes) ?? charsetIn(contentType) ?? declaredIn(bytes) ?? 'utf-8';
  return decoded(bytes, named, isCut) ?? decoded(bytes, 'utf-8', isCut) ?? decoded(bytes, 'windows-1252', isCut)!;
}

/** `undefined` if the charset is unknown or the bytes are invalid in it. @param isCut the last character may be incomplete. */
function decoded(bytes: Buffer, charset: string, isCut: boolean): string | undefined {
  try {
    return new TextDecoder(charset, { fatal: true }).decode(bytes, { stream: isCut });
  } catch {
    return undefined;
  }
}

function byteOrderMark(bytes: Buffer): string | undefined {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8';
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  return undefined;
}

const charsetIn = (contentType: string): string | undefined => /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(contentType)?.[1];

/** What XML and HTML say of themselves at their beginning. */
const declaredIn = (bytes: Buffer): string | undefined =>
  /^\s*<\?xml[^>]*\sencoding\s*=\s*["']([\w.:-]+)|<meta[^>]*\scharset\s*=\s*["']?([\w.:-]+)/i
    .exec(bytes.toString('latin1', 0, 1024))
    ?.slice(1)
    .find((name) => name !== undefined);

/** Names of what is no packing at all: senders write charsets and the like there. */
const encodingsIn = (header: string | undefined): readonly string[] =>
  (header ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim().replace(/^x-/, ''))
    .filter((name) => !['', 'identity', 'none', 'utf-8', 'utf8', 'binary', '8bit'].includes(name));

interface Unpacked {
  readonly bytes: Buffer;
  readonly isCut: boolean;
  /** The packing is unknown, or too damaged to read anything. */
  readonly isPacked: boolean;
}

/** The encoding that was applied last is named last. A text that is not packed although the header says so is left as it is. */
async function unpack(body: Buffer, encodings: readonly string[], maxBytes: number): Promise<Unpacked> {
  let [bytes, isCut] = [body, false];
  for (const encoding of [...encodings].reverse()) {
    const unpacker = unpackerOf(encoding, bytes);
    if (unpacker === undefined) return { bytes, isCut, isPacked: true };
    const next = await through(unpacker, bytes, maxBytes);
    if (next.bytes.length > 0 || !next.isCut) [bytes, isCut] = [next.bytes, isCut || next.isCut];
    else if (!looksLikeText(bytes)) return { bytes, isCut: true, isPacked: true };
  }
  return { bytes, isCut, isPacked: false };
}

function unpackerOf(encoding: string, [first = 0]: Buffer) {
  switch (encoding) {
    case 'gzip':
      return createGunzip();
    case 'br':
      return createBrotliDecompress();
    case 'deflate':
      // RFC 9110 means zlib; some senders leave its header out.
      return (first & 0x0f) === 8 ? createInflate() : createInflateRaw();
    default:
      return undefined;
  }
}

/** What comes out before the end, an error or more than `maxBytes`. Memory stays bounded, whatever is packed. */
async function through(unpacker: NonNullable<ReturnType<typeof unpackerOf>>, packed: Buffer, maxBytes: number) {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    unpacker.end(packed);
    for await (const chunk of unpacker as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > maxBytes) break;
    }
    return { bytes: Buffer.concat(chunks), isCut: size > maxBytes };
  } catch {
    return { bytes: Buffer.concat(chunks), isCut: true };
  }
}
