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

export const NOT_UTF8 = new BodyFault(
  400,
  'inbound.not_utf8',
  'The body is not valid UTF-8. Send text in UTF-8, without binary parts, or name its charset in Content-Type.',
);
export const NOT_JSON = new BodyFault(
  400,
  'inbound.not_json',
  'The body is not valid JSON: it may be incomplete, or in another format than Content-Type.',
);
export const NOT_NDJSON = new BodyFault(
  400,
  'inbound.not_ndjson',
  'Each line of an NDJSON body must be one JSON value, and there must be at least one. Do not split a value over several lines.',
);
export const NOT_BATCH = new BodyFault(
  400,
  'inbound.not_batch',
  'A batch must be a JSON array of events. This body is not, or is incomplete.',
);
export const NOT_FORM = new BodyFault(
  400,
  'inbound.not_form',
  'The body is not a form: a percent sign is not followed by two hex digits.',
);
export const JSON_AS_FORM = new BodyFault(
  400,
  'inbound.json_sent_as_form',
  'The body is JSON, but Content-Type is that of a form. Send it with Content-Type: application/json.',
);
export const PAYLOAD_NOT_JSON = new BodyFault(
  400,
  'inbound.payload_not_json',
  'The form field "payload" looks like JSON but is invalid: it may be incomplete.',
);
export const TOO_MANY_LINES = new BodyFault(
  413,
  'inbound.too_many_lines',
  `The body must not have more than ${MAX_LINES} events. Send them in several requests.`,
);
export const UNSUPPORTED_TYPE = new BodyFault(
  415,
  'inbound.unsupported_type',
  'Send application/json, application/x-www-form-urlencoded, application/x-ndjson or CloudEvents, in UTF-8, and name it in Content-Type.',
);
export const UNSUPPORTED_ENCODING = new BodyFault(
  415,
  'inbound.unsupported_encoding',
  'The body is compressed. Send it uncompressed, without Content-Encoding.',
);
export const TOO_DEEP = new BodyFault(
  400,
  'inbound.too_deep',
  `The body is nested deeper than ${MAX_DEPTH} levels. Send a flatter structure.`,
);
