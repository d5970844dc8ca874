import { compile } from '#libs/expressions/src/compile.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';
import type { Json } from '#libs/plugin-sdk/src/fields.js';

import { look, type RequestView, textOfValue } from './views.js';

/** What the scheme has found of its own in the request, as it was sent. */
export interface Signed {
  readonly timestamp: string;
  readonly id: string;
  /** The body, or the element of it that is proved. */
  readonly value: () => Json;
}

type Part = string | ((view: RequestView, signed: Signed) => string | Buffer);

/** A template of what is signed. */
export interface SignedTemplate {
  readonly names: ReadonlySet<string>;
  /** The signature depends on the body as a whole. */
  readonly coversBody: boolean;
  bytes(view: RequestView, signed: Signed): Buffer;
}

/** What is wrong with a template, for its author. */
export class TemplateFault extends Error {
  override readonly name = 'TemplateFault';
}

const PLAIN: Readonly<Record<string, Exclude<Part, string>>> = {
  body: ({ request }) => request.rawBody,
  timestamp: (_, { timestamp }) => latin1(timestamp),
  id: (_, { id }) => latin1(id),
  method: ({ method }) => method,
  url: ({ url }) => url,
  path: ({ path }) => path,
  query: ({ query }) => query,
  form: (view) => formOf(view),
};
const WITH_ARGUMENT = ['header', 'json', 'headers'] as const;
const PLACEHOLDERS = [...Object.keys(PLAIN), ...WITH_ARGUMENT.map((name) => `${name}:…`)].map((one) => `{${one}}`);
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/;

/**
 * Compiles a template: literal text but for its placeholders; `{{` is a brace.
 * @throws TemplateFault
 */
export function signedTemplate(template: string): SignedTemplate {
  const parts: Part[] = [];
  const names = new Set<string>();
  for (let at = 0; at < template.length;) {
    const open = template.indexOf('{', at);
    if (open !== at) parts.push(template.slice(at, open < 0 ? undefined : open));
    if (open < 0) break;
    if (template[open + 1] === '{') {
      parts.push('{');
      at = open + 2;
      continue;
    }
    const close = closingBrace(template, open);
    if (close < 0) throw new TemplateFault(`"{" at character ${open + 1} is not closed; write {{ for a brace`);
    const placeholder = template.slice(open + 1, close);
    parts.push(partOf(placeholder));
    names.add(placeholder.split(':', 1)[0]!);
    at = close + 1;
  }
  return {
    names,
    coversBody: names.has('body') || names.has('form'),
    bytes: (view, signed) =>
      Buffer.concat(parts.map((part) => asBytes(typeof part === 'string' ? part : part(view, signed)))),
  };
}

const asBytes = (part: string | Buffer): Buffer => (typeof part === 'string' ? Buffer.from(part) : part);

/** A header's text: each character is a byte. */
const latin1 = (text: string): Buffer | string => {
  const bytes = Buffer.from(text, 'latin1');
  return bytes.toString('latin1') === text ? bytes : text;
};

function partOf(placeholder: string): Exclude<Part, string> {
  if (Object.hasOwn(PLAIN, placeholder)) return PLAIN[placeholder]!;
  const colon = placeholder.indexOf(':');
  const [name, argument] = colon < 0 ? [placeholder, ''] : [placeholder.slice(0, colon), placeholder.slice(colon + 1)];
  if (name === 'header' && HEADER_NAME.test(argument)) return (view) => latin1(view.header(argument) ?? '');
  if (name === 'headers' && HEADER_NAME.test(argument)) return (view) => latin1(listedHeaders(view, argument));
  if (name === 'json' && argument !== '') {
    compile(argument);
    return (_, { value }) => textOfValue(look(argument, value())) ?? '';
  }
  if (name === 'header' || name === 'headers')
    throw new TemplateFault(`{${placeholder}} must name a header, such as {${name}:X-Acme-Time}`);
  const like = suggestion(name, [...Object.keys(PLAIN), ...WITH_ARGUMENT]).replace(/"(.*)"/, '{$1}');
  throw new TemplateFault(`unknown placeholder {${placeholder}}. ${like}Allowed: ${PLACEHOLDERS.join(', ')}`);
}

/** Of the headers that another one lists: `name:value`, in lower case, sorted. */
function listedHeaders(view: RequestView, list: string): string {
  const names = (view.header(list) ?? '').split(',').map((name) => name.trim().toLowerCase());
  return [...new Set(names)]
    .filter((name) => name !== '')
    .sort()
    .map((name) => `${name}:${(view.header(name) ?? '').trim()}`)
    .join(';');
}

/** Names in the order of code points, each with its values: those that are sent twice once, and in order. */
function formOf({ request }: RequestView): string {
  if (request.contentType !== 'application/x-www-form-urlencoded') return '';
  const fields = new Map<string, Set<string>>();
  for (const [name, value] of new URLSearchParams(request.rawBody.toString('utf8')))
    fields.set(name, (fields.get(name) ?? new Set()).add(value));
  const byCodePoint = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
  return [...fields.keys()]
    .sort(byCodePoint)
    .flatMap((name) => [...fields.get(name)!].sort(byCodePoint).map((value) => name + value))
    .join('');
}

/** JMESPath has braces of its own, and quotes around texts that hold any. */
function closingBrace(template: string, open: number): number {
  let depth = 0;
  let quote = '';
  for (let at = open; at < template.length; at++) {
    const character = template[at]!;
    if (quote !== '') {
      if (character === '\\') at++;
      else if (character === quote) quote = '';
    } else if (`'"\``.includes(character) && depth > 0 && template.startsWith('json:', open + 1)) quote = character;
    else if (character === '{') depth++;
    else if (character === '}' && --depth === 0) return at;
  }
  return -1;
}
