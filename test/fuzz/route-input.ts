import { headersOf, type HttpFile } from '#libs/plugin-sdk/src/http-file.js';

import type { Target } from './corpus.js';
import { mutatedBody, mutatedBytes, mutatedHeaders } from './mutate.js';
import type { Random } from './random.js';

/** An integration that the server has. */
export interface Place {
  readonly target: Target;
  readonly id: string;
  readonly slug: string;
  readonly customPath: string;
  /** Where it is not the provider itself that signs: headers that make any request of this target believed. */
  readonly proof?: Readonly<Record<string, string>>;
}

/** A request as it goes over the wire. */
export interface RouteInput {
  readonly bytes: Buffer;
  /** It is no whole request: that the connection is closed without a word is an answer too. */
  readonly breaks: boolean;
}

const LARGE = Buffer.alloc(1024 * 1024 + 1, 0x20);

/** A saved request to one of the places, most of the time signed, with something wrong about it. */
export function routeInput(places: readonly Place[], random: Random): RouteInput {
  const place = random.pick(places);
  const { target } = place;
  const { file } = random.pick(target.saved);
  let body = random.once(4) ? file.body : mutatedBody(file, random);
  if (random.once(400)) body = Buffer.concat([body, LARGE]);
  const named = random.once(3) ? mutatedHeaders(file.headers, random) : file.headers;
  const headers = random.once(4) ? named : signed(place, { ...file, headers: named, body });
  return framed(random.once(20) ? random.pick(METHODS) : 'POST', pathOf(place, random), headers, body, random);
}

const METHODS = ['GET', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH', 'TRACE', 'post', 'BREW', ''];

/** As a sender that knows the secret would send it now. */
function signed({ target: { provider, secret, config }, proof: given }: Place, file: HttpFile): HttpFile['headers'] {
  const request = { headers: headersOf(file), rawBody: file.body };
  const context = { secrets: secret === undefined ? [] : [secret], config, now: new Date() };
  const proof = given ?? provider.sign?.(request, context) ?? {};
  return [...file.headers.filter(([name]) => !Object.hasOwn(proof, name)), ...Object.entries(proof)];
}

function pathOf({ id, slug, customPath, target }: Place, random: Random): string {
  const right = [
    `/api/v1/webhooks/inbound/${slug}`,
    `/webhooks/${id}`,
    `/webhooks/${id}/${target.provider.name}`,
    `/api/webhook/${customPath}`,
    `/api/communicator/webhook/${id}`,
    `/api/communicator/botframework/${id}/messages`,
  ];
  const path = random.pick(right);
  if (!random.once(6)) return random.once(10) ? `${path}?a=1&a=%zz&__proto__=x&${random.below(100)}` : path;
  const at = random.below(path.length + 1);
  const odd = [
    '%',
    '%zz',
    '%00',
    '%2e%2e',
    '//',
    '/../',
    '/./',
    '?',
    '#',
    '\\',
    ';x=1',
    '%ff%fe',
    'x'.repeat(600),
    '\t',
    '\x80',
  ];
  return random.once(8) ? `/${random.text(20)}` : `${path.slice(0, at)}${random.pick(odd)}${path.slice(at)}`;
}

/** The bytes of the request: most of the time as they should be. */
function framed(method: string, path: string, headers: HttpFile['headers'], body: Buffer, random: Random): RouteInput {
  const head = [`${method} ${path} HTTP/1.1`, 'host: localhost'];
  for (const [name, value] of headers) if (name !== 'content-length') head.push(`${name}: ${value}`);
  const odd = random.once(15) ? oddHeader(random) : undefined;
  if (odd !== undefined) head.push(odd);
  const withHead = (length: string, bytes: Buffer, ...more: readonly string[]): Buffer =>
    Buffer.concat([Buffer.from([...head, length, ...more, '', ''].join('\r\n'), 'latin1'), bytes]);
  const length = `content-length: ${body.length}`;
  // Whatever a method, a header or a path may do to the framing, the next request must not suffer from it.
  const isOdd = method !== 'POST' || odd !== undefined || !/^[\x21-\x7e]+$/.test(path);
  const kind = random.below(40);
  if (kind === 0) return { bytes: withHead(length, body).subarray(0, random.below(2000)), breaks: true };
  if (kind === 1)
    return { bytes: withHead(`content-length: ${body.length + 1 + random.below(9)}`, body), breaks: true };
  if (kind === 2) return { bytes: withHead(random.pick(ODD_LENGTHS), body), breaks: true };
  if (kind === 3) return { bytes: withHead('transfer-encoding: chunked', chunked(body, random)), breaks: isOdd };
  if (kind === 4)
    return { bytes: withHead('transfer-encoding: chunked', mutatedBytes(chunked(body, random), random)), breaks: true };
  if (kind === 5) return { bytes: mutatedBytes(withHead(length, body), random), breaks: true };
  if (kind === 6) return { bytes: withHead(length, body, 'expect: 100-continue'), breaks: isOdd };
  if (kind === 7) return { bytes: withHead(length, body, 'connection: close'), breaks: isOdd };
  return { bytes: withHead(length, body), breaks: isOdd };
}

const ODD_LENGTHS = [
  'content-length: -1',
  'content-length: 99999999999999999999',
  'content-length: 1e3',
  'content-length: 5\r\ncontent-length: 6',
  'content-length: 3\r\ntransfer-encoding: chunked',
  'transfer-encoding: gzip, chunked',
  'transfer-encoding: nonsense',
  'content-length:',
  'x: y',
];

function oddHeader(random: Random): string {
  return random.pick([
    () => `x-long: ${'y'.repeat(random.below(20_000))}`,
    () =>
      `x-byte: ${random
        .bytes(20)
        .toString('latin1')
        .replace(/[\r\n]/g, '')}`,
    () => `${random.text(10)}: value`,
    () => `cookie: ${'a=b; '.repeat(200)}`,
    () => Array.from({ length: random.below(300) }, (_, nth) => `x-many-${nth}: ${nth}`).join('\r\n') || 'x-none: 0',
    () => 'content-encoding: gzip',
    () => 'upgrade: websocket\r\nconnection: upgrade',
    () => ' folded: header',
    () => 'host: elsewhere',
    () => 'x-forwarded-for: 127.0.0.1, ::1, unknown',
  ])();
}

function chunked(body: Buffer, random: Random): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length;) {
    const size = 1 + random.below(Math.max(1, body.length));
    const part = body.subarray(at, at + size);
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
    at += size;
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}
