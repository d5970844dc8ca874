import { ExactNumber, mayHoldExactNumbers, parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import type { Json } from '#libs/kernel/src/json.js';

import type { InboundBody, InboundRequest, Provider } from '../define-provider.js';
import { elementTexts } from './batch-elements.js';
import {
  BodyFault,
  JSON_AS_FORM,
  MAX_DEPTH,
  MAX_LINES,
  NOT_BATCH,
  NOT_FORM,
  NOT_JSON,
  NOT_NDJSON,
  NOT_UTF8,
  PAYLOAD_NOT_JSON,
  TOO_DEEP,
  TOO_MANY_LINES,
  UNSUPPORTED_ENCODING,
  UNSUPPORTED_TYPE,
} from './body-fault.js';
import { type Charset, charsetOf, textOfBytes } from './body-text.js';
import { formFields } from './form-fields.js';

export { BodyFault, MAX_DEPTH, MAX_LINES };

export interface ParsedValue {
  readonly value: Json;
  /** JSON text of the value: that of the sender, byte for byte, wherever the sender wrote JSON. */
  readonly text: string;
  /** Whether the text may hold numbers that JavaScript changes. */
  readonly mayHoldExact: boolean;
}

export interface ParsedBody {
  readonly kind: InboundBody['kind'];
  /** One, or one for each line of an NDJSON body or element of a batch; none for an empty batch. */
  readonly values: readonly ParsedValue[];
}

/** What a CloudEvent without data is read as. */
const NO_DATA: ParsedBody = { kind: 'json', values: [{ value: null, text: 'null', mayHoldExact: false }] };
const EMPTY: ParsedBody = { kind: 'json', values: [{ value: {}, text: '{}', mayHoldExact: false }] };

/** Bodies by media type; a type that is not here, and no `+json`, is read as `anyBody` of the provider says. */
const KINDS: Readonly<Record<string, InboundBody['kind']>> = {
  'application/json': 'json',
  'text/json': 'json',
  'application/x-www-form-urlencoded': 'form',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'application/cloudevents-batch+json': 'batch',
};

/**
 * Content codings that change the bytes. Anything else that senders write into `Content-Encoding` (`identity`, `UTF-8`)
 * leaves the body as it is.
 */
const COMPRESSIONS = /^(?:x-)?(?:gzip|compress|deflate|br|zstd|dcb|dcz|exi|pack200-gzip|bzip2|lzma|xz|lz4|snappy)$/;

/**
 * Reads the bytes of a verified request: those of nobody else are parsed.
 * @param anyBody see {@link Provider.anyBody}.
 */
export function parseBody(
  { rawBody, contentType, headers }: InboundRequest,
  anyBody: Provider['anyBody'] = false,
): ParsedBody | BodyFault {
  if (isCompressed(headers['content-encoding'])) return UNSUPPORTED_ENCODING;
  const kind = kindOf(contentType);
  if (rawBody.length === 0)
    return isBinaryCloudEvent(contentType, headers) ? NO_DATA : kind === 'batch' ? NOT_BATCH : EMPTY;
  const charset = charsetOf(headers['content-type']);
  if (kind === 'form') return parseForm(rawBody, charset);
  if (kind === undefined) return parseOther(rawBody, contentType, charset, anyBody);
  if (charset === 'other') return UNSUPPORTED_TYPE;
  const text = textOfBytes(rawBody, charset);
  if (text === undefined) return NOT_UTF8;
  if (kind === 'ndjson') return parseLines(text);
  return kind === 'batch' ? parseBatch(text) : parseValue(text, 'json', NOT_JSON);
}

const isCompressed = (encoding: string | undefined): boolean =>
  encoding !== undefined && encoding.split(',').some((one) => COMPRESSIONS.test(one.trim().toLowerCase()));

/** The attributes of a CloudEvent in binary mode are headers. It may have no data, and then needs no content type. */
const isBinaryCloudEvent = (contentType: string, headers: InboundRequest['headers']): boolean =>
  headers['ce-specversion'] !== undefined && !contentType.startsWith('application/cloudevents');

/** `application/json; charset=utf-8` → `application/json`. */
export function mediaTypeOf(header: string | undefined): string {
  if (header === undefined) return '';
  const end = header.indexOf(';');
  return (end < 0 ? header : header.slice(0, end)).trim().toLowerCase();
}

const kindOf = (contentType: string): InboundBody['kind'] | undefined =>
  Object.hasOwn(KINDS, contentType) ? KINDS[contentType] : contentType.endsWith('+json') ? 'json' : undefined;

/**
 * A body of another type, or of none. It is JSON where a provider knows nothing else, or where no type was sent; else its
 * text, or its bytes in base64.
 */
function parseOther(rawBody: Buffer, contentType: string, charset: Charset, anyBody: boolean): ParsedBody | BodyFault {
  const text = textOfBytes(rawBody, charset);
  if (text !== undefined && (!anyBody || (contentType === '' && BEGINS_LIKE_JSON.test(text)))) {
    const parsed = parseValue(text, 'json', UNSUPPORTED_TYPE);
    if (parsed !== UNSUPPORTED_TYPE) return parsed;
  }
  if (!anyBody) return UNSUPPORTED_TYPE;
  return text === undefined ? written('bytes', { base64: rawBody.toString('base64') }) : written('text', { text });
}

const BEGINS_LIKE_JSON = /^\s*[{[]/;

const written = (kind: InboundBody['kind'], value: Json): ParsedBody => ({
  kind,
  values: [{ value, text: stringifyJson(value), mayHoldExact: false }],
});

function parseValue(text: string, kind: InboundBody['kind'], otherwise: BodyFault): ParsedBody | BodyFault {
  const read = tryParse(text);
  if (read === undefined) return otherwise;
  if (isDeeperThan(read.value, MAX_DEPTH)) return TOO_DEEP;
  return { kind, values: [read] };
}

function parseLines(text: string): ParsedBody | BodyFault {
  const values: ParsedValue[] = [];
  for (let start = 0; start < text.length;) {
    const found = text.indexOf('\n', start);
    const end = found < 0 ? text.length : found;
    const line = text.slice(start, end).trim();
    start = end + 1;
    if (line === '') continue;
    if (values.length === MAX_LINES) return TOO_MANY_LINES;
    const read = tryParse(line);
    if (read === undefined) return NOT_NDJSON;
    if (isDeeperThan(read.value, MAX_DEPTH)) return TOO_DEEP;
    values.push(read);
  }
  return values.length === 0 ? NOT_NDJSON : { kind: 'ndjson', values };
}

function parseBatch(text: string): ParsedBody | BodyFault {
  const read = tryParse(text);
  const elements = read?.value;
  if (!read || !Array.isArray(elements)) return NOT_BATCH;
  if (elements.length > MAX_LINES) return TOO_MANY_LINES;
  if (isDeeperThan(elements as Json, MAX_DEPTH)) return TOO_DEEP;
  const texts = elementTexts(text);
  const { mayHoldExact } = read;
  const values = (elements as Json[]).map((value, index) => ({ value, text: texts[index]!, mayHoldExact }));
  return { kind: 'batch', values };
}

function parseForm(rawBody: Buffer, charset: Charset): ParsedBody | BodyFault {
  // An encoder writes these as %7B and %5B: a sender that does not has forgotten the content type.
  if (rawBody[0] === 0x7b || rawBody[0] === 0x5b) return JSON_AS_FORM;
  const fields = formFields(rawBody, charset);
  if (fields === undefined) return NOT_FORM;
  const payload = fields['payload'];
  return typeof payload === 'string' && (payload.startsWith('{') || payload.startsWith('['))
    ? parseValue(payload, 'form', PAYLOAD_NOT_JSON)
    : written('form', fields);
}

function tryParse(text: string): ParsedValue | undefined {
  const mayHoldExact = mayHoldExactNumbers(text);
  try {
    return { value: parseJson(text, mayHoldExact) as Json, text, mayHoldExact };
  } catch {
    return undefined;
  }
}

/** Whether arrays and objects are nested deeper than `levels`. Goes no deeper itself. */
export function isDeeperThan(value: Json, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return !(value instanceof ExactNumber);
  if (Array.isArray(value)) {
    for (const element of value as readonly Json[])
      if (typeof element === 'object' && isDeeperThan(element, levels - 1)) return true;
    return false;
  }
  const object = value as Readonly<Record<string, Json>>;
  for (const key in object) {
    const field = object[key]!;
    if (typeof field === 'object' && isDeeperThan(field, levels - 1)) return true;
  }
  return false;
}
