import { hash } from 'node:crypto';

import { compile } from '#libs/expressions/src/compile.js';
import { ExactNumber, parseAsWritten } from '#libs/kernel/src/text/exact-json.js';
import { BodyFault, parseBody } from '#libs/plugin-sdk/src/body/inbound-body.js';
import type { InboundRequest } from '#libs/plugin-sdk/src/define-provider.js';
import type { Json } from '#libs/plugin-sdk/src/fields.js';

const ORIGIN = /^https?:\/\/[^/?#]*/;

/** A request as a scheme looks at it. The body is read when something of it is asked for, and then once. */
export class RequestView {
  private body: { readonly value: Json } | undefined;
  private parts: readonly Json[] | undefined;
  private sha256: string | undefined;

  constructor(
    readonly request: InboundRequest,
    /** The body is JSON whatever its content type says. */
    private readonly isJson: boolean,
    private readonly publicUrl: string,
  ) {}

  /** The same scheme's look at another request. */
  with(request: InboundRequest): RequestView {
    return new RequestView(request, this.isJson, this.publicUrl);
  }

  get method(): string {
    return this.request.method ?? 'POST';
  }

  /** As the sender knows it. Never made from what the request says of its host. */
  get url(): string {
    return this.publicUrl + this.target;
  }

  get path(): string {
    return this.url.replace(ORIGIN, '').split('?', 1)[0]!;
  }

  /** Without `?`. */
  get query(): string {
    const at = this.target.indexOf('?');
    return at < 0 ? '' : this.target.slice(at + 1);
  }

  private get target(): string {
    return this.request.target ?? '';
  }

  /** A header in the bytes that came, one character each; empty where none did. */
  header(name: string): string | undefined {
    return this.request.headers[name.toLowerCase()];
  }

  /** All values of a parameter of the URL, decoded. */
  parameters(name: string): readonly string[] {
    if (this.request.target === undefined) {
      const value = this.request.query[name];
      return value === undefined ? [] : [value];
    }
    return new URLSearchParams(this.query).getAll(name);
  }

  /** The body as a value, numbers as they were written; `null` where it cannot be read. */
  get value(): Json {
    this.body ??= { value: this.read() };
    return this.body.value;
  }

  /** The events in the body, taken apart once. */
  elements(takeApart: (value: Json) => readonly Json[]): readonly Json[] {
    return (this.parts ??= takeApart(this.value));
  }

  /** SHA-256 of the raw body, in hex. */
  get bodyHash(): string {
    return (this.sha256 ??= hash('sha256', this.request.rawBody, 'hex'));
  }

  private read(): Json {
    const { request } = this;
    const view = this.isJson ? { ...request, contentType: 'application/json' } : request;
    const parsed = parseBody(view);
    // Of several lines one could be proved and the others not.
    if (parsed instanceof BodyFault || parsed.values.length !== 1) return null;
    return parseAsWritten(parsed.values[0]!.text) as Json;
  }
}

/** What an expression gives over a value; `null` where it fails. */
export function look(expression: string, value: Json): Json {
  try {
    return compile(expression).evaluate(value);
  } catch {
    return null;
  }
}

/** Texts, numbers as they were written, true and false; of anything else nothing. */
export function textOfValue(value: Json): string | undefined {
  const one: unknown = value;
  if (typeof one === 'string') return one;
  if (typeof one === 'number' || typeof one === 'boolean') return String(one);
  return one instanceof ExactNumber ? one.text : undefined;
}
