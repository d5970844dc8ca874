import { isUtf8 } from 'node:buffer';

import type { Json } from '#libs/kernel/src/json.js';

import type { InboundBody, InboundRequest } from './define-provider.js';

/** Deepest nesting of arrays and objects in a body. */
export const MAX_DEPTH = 64;
/** Most events of one NDJSON body or batch. */
export const MAX_LINES = 1000;

/** Why a body cannot be read. */
export class BodyFault {
  constructor(
    readonly status: 400 | 413 | 415,
    readonly code: string,
    /** Tells the sender what to do next. Never holds anything of the body. */
    readonly detail: string,
  ) {}
}

export interface ParsedValue {
  readonly value: Json;
  /** JSON text of the value: that of the sender, byte for byte, wherever the sender wrote JSON. */
  readonly text: string;
}

export interface ParsedBody {
  readonly kind: InboundBody['kind'];
  /** One, or one for each line of an NDJSON body or element of a batch. */
  readonly values: readonly ParsedValue[];
}

const NOT_UTF8 = new BodyFault(
  400,
  'inbound.not_utf8',
  'The body is not valid UTF-8. Send text in UTF-8, without binary parts.',
);
const NOT_JSON = new BodyFault(
  400,
  'inbound.not_json',
  'The body is not valid JSON: it may be cut off, empty, or of another format than Content-Type says.',
);
const NOT_NDJSON = new BodyFault(
  400,
  'inbound.not_ndjson',
  'Each line of an NDJSON body is one JSON value, and there is at least one. Check for a value over several lines.',
);
const NOT_BATCH = new BodyFault(
  400,
  'inbound.not_batch',
  'A batch is a JSON array of at least one event: the body is none, is empty, or may be cut off.',
);
const NOT_FORM = new BodyFault(
  400,
  'inbound.not_form',
  'The body is not a form: a percent sign is not followed by two hex digits, or the text behind it is not UTF-8.',
);
const JSON_AS_FORM = new BodyFault(
  400,
  'inbound.json_sent_as_form',
  'The body is JSON, but Content-Type says that it is a form. Send it with Content-Type: application/json.',
);
const PAYLOAD_NOT_JSON = new BodyFault(
  400,
  'inbound.payload_not_json',
  'The form field "payload" begins like JSON and is not valid JSON: it may be cut off.',
);
const TOO_MANY_LINES = new BodyFault(
  413,
  'inbound.too_many_lines',
  `The body holds more than ${MAX_LINES} events. Send them in several requests.`,
);
const UNSUPPORTED_TYPE = new BodyFault(
  415,
  'inbound.unsupported_type',
  'Send application/json, application/x-www-form-urlencoded, application/x-ndjson or CloudEvents, in UTF-8, and say so in Content-Type.',
);
const UNSUPPORTED_ENCODING = new BodyFault(
  415,
  'inbound.unsupported_encoding',
  'The body is compressed. Send it as it is, without Content-Encoding.',
);
const TOO_DEEP = new BodyFault(
  400,
  'inbound.too_deep',
  `The body is nested deeper than ${MAX_DEPTH} levels. Send a flatter structure.`,
);

/** What a CloudEvent without data is read as. */
const NO_DATA: ParsedBody = { kind: 'json', values: [{ value: null, text: 'null' }] };

/** Bodies by media type; what is not here, and no `+json`, is not read. */
const KINDS: Readonly<Record<string, InboundBody['kind']>> = {
  'application/json': 'json',
  'text/json': 'json',
  'application/x-www-form-urlencoded': 'form',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'application/cloudevents-batch+json': 'batch',
};

/** What the verified bytes say. Called after verification alone: nobody else's bytes are parsed. */
export function parseBody({ rawBody, contentType, headers }: InboundRequest): ParsedBody | BodyFault {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== '' && encoding !== 'identity') return UNSUPPORTED_ENCODING;
  if (rawBody.length === 0 && isBinaryCloudEvent(contentType, headers)) return NO_DATA;
  const kind = kindOf(contentType);
  if (kind === undefined || !isUtf8Charset(headers['content-type'])) return UNSUPPORTED_TYPE;
  if (!isUtf8(rawBody)) return NOT_UTF8;
  // A byte order mark is no part of the text; some senders write one all the same.
  const marked = rawBody.length >= 3 && rawBody[0] === 0xef && rawBody[1] === 0xbb && rawBody[2] === 0xbf;
  const text = rawBody.toString('utf8', marked ? 3 : 0);
  switch (kind) {
    case 'json':
      return parseJson(text, 'json', NOT_JSON);
    case 'form':
      return parseForm(text);
    case 'ndjson':
      return parseLines(text);
    case 'batch':
      return parseBatch(text);
  }
}

/** A CloudEvent in binary mode is all in its headers but for its data, which it may do without: then nothing needs a type. */
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

const CHARSET = /;\s*charset\s*=\s*"?([^";\s]*)/i;

function isUtf8Charset(header: string | undefined): boolean {
  if (header === undefined || !header.includes(';')) return true;
  const charset = CHARSET.exec(header)?.[1]?.toLowerCase();
  return charset === undefined || charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii';
}

function parseJson(text: string, kind: InboundBody['kind'], otherwise: BodyFault): ParsedBody | BodyFault {
  const value = tryParse(text);
  if (value === undefined) return otherwise;
  if (isDeeperThan(value, MAX_DEPTH)) return TOO_DEEP;
  return { kind, values: [{ value, text }] };
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
    const value = tryParse(line);
    if (value === undefined) return NOT_NDJSON;
    if (isDeeperThan(value, MAX_DEPTH)) return TOO_DEEP;
    values.push({ value, text: line });
  }
  return values.length === 0 ? NOT_NDJSON : { kind: 'ndjson', values };
}

function parseBatch(text: string): ParsedBody | BodyFault {
  const elements = tryParse(text);
  if (!Array.isArray(elements) || elements.length === 0) return NOT_BATCH;
  if (elements.length > MAX_LINES) return TOO_MANY_LINES;
  if (isDeeperThan(elements as Json, MAX_DEPTH)) return TOO_DEEP;
  const texts = elementTexts(text);
  return { kind: 'batch', values: (elements as Json[]).map((value, index) => ({ value, text: texts[index]! })) };
}

/** The text of each element of an array that is known to be valid JSON and not empty. */
function elementTexts(text: string): string[] {
  const texts: string[] = [];
  let depth = 0;
  let start = text.indexOf('[') + 1;
  for (let at = start; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22:
        // A quote ends the text unless it is escaped; so is whatever follows a backslash.
        for (at++; text.charCodeAt(at) !== 0x22; at++) if (text.charCodeAt(at) === 0x5c) at++;
        break;
      case 0x5b:
      case 0x7b:
        depth++;
        break;
      case 0x7d:
        depth--;
        break;
      case 0x5d:
        if (--depth < 0) return [...texts, text.slice(start, at).trim()];
        break;
      case 0x2c:
        if (depth > 0) break;
        texts.push(text.slice(start, at).trim());
        start = at + 1;
        break;
    }
  }
  return texts;
}

function parseForm(text: string): ParsedBody | BodyFault {
  // An encoder writes these as %7B and %5B: whoever sends them as they are has forgotten the content type.
  if (text.startsWith('{') || text.startsWith('[')) return JSON_AS_FORM;
  const fields = formFields(text);
  if (fields === undefined) return NOT_FORM;
  const payload = fields['payload'];
  if (typeof payload === 'string' && (payload.startsWith('{') || payload.startsWith('[')))
    return parseJson(payload, 'form', PAYLOAD_NOT_JSON);
  return { kind: 'form', values: [{ value: fields, text: JSON.stringify(fields) }] };
}

/** A field that comes several times is a list. `undefined` if the text is not form-encoded UTF-8. */
function formFields(text: string): Record<string, string | string[]> | undefined {
  const fields = new Map<string, string | string[]>();
  for (const part of text.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    try {
      const name = decode(equals < 0 ? part : part.slice(0, equals));
      const value = equals < 0 ? '' : decode(part.slice(equals + 1));
      const before = fields.get(name);
      if (before === undefined) fields.set(name, value);
      else if (typeof before === 'string') fields.set(name, [before, value]);
      else before.push(value);
    } catch {
      return undefined;
    }
  }
  // As own properties, `__proto__` included.
  return Object.fromEntries(fields);
}

const decode = (part: string): string => decodeURIComponent(part.includes('+') ? part.replaceAll('+', ' ') : part);

function tryParse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** Whether arrays and objects are nested deeper than `levels`. Goes no deeper itself. */
export function isDeeperThan(value: Json, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
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
