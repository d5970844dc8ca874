import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

import type { Random } from '../random.js';

/**
 * What may be made of an answer: `whole` must come through as it is, `cut` must never count as a success, and of `odd` only
 * what holds for every answer.
 */
export type Truth =
  { readonly kind: 'whole'; readonly status: number; readonly body: unknown } | { readonly kind: 'cut' | 'odd' };

export interface HostileAnswer {
  readonly name: string;
  readonly truth: Truth;
  /** It ends only when the client gives up. */
  readonly endless?: true;
  play(socket: Socket): Promise<void>;
}

/** What is written, how many milliseconds pass, or how the connection ends. */
type Part = string | Buffer | number | symbol;
const END = Symbol('end');
const RESET = Symbol('reset');

async function write(socket: Socket, parts: Iterable<Part>): Promise<void> {
  for (const part of parts) {
    if (socket.destroyed) return;
    if (typeof part === 'number') await delay(part);
    else if (typeof part === 'symbol') {
      if (part === END) socket.end();
      else socket.resetAndDestroy();
    } else if (!socket.write(part, 'latin1'))
      await new Promise<void>((resolve) => socket.once('drain', resolve).once('close', resolve));
  }
}

function* forEver(part: Part, pauseMs = 0): Generator<Part> {
  for (;;) {
    yield part;
    yield pauseMs;
  }
}

const head = (status: number, headers: readonly string[] = []): string =>
  [`HTTP/1.1 ${status} Something`, ...headers, '', ''].join('\r\n');
const chunk = (data: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')]);

/** The same bytes in pieces, some of them late. */
function inPieces(random: Random, bytes: Buffer): Part[] {
  const parts: Part[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = random.once(2) ? bytes.length - at : 1 + random.below(Math.min(200, bytes.length - at));
    parts.push(bytes.subarray(at, at + size));
    if (random.once(4)) parts.push(random.below(3));
    at += size;
  }
  return parts;
}

interface Content {
  readonly bytes: Buffer;
  readonly type: string;
  /** As a step's output has it. */
  readonly value: unknown;
}

function content(random: Random): Content {
  const text = random.text(random.below(3_000));
  switch (random.below(4)) {
    case 0: {
      const value = { text, list: [random.below(100), null, true] };
      return { bytes: Buffer.from(JSON.stringify(value)), type: 'application/json', value };
    }
    case 1:
      return { bytes: Buffer.from(`\ufeff"${random.below(1000)}"`), type: 'application/json', value: undefined };
    case 2: {
      const bytes = random.bytes(1 + random.below(2_000));
      const type = 'application/octet-stream';
      return { bytes, type, value: { base64: bytes.toString('base64'), contentType: type } };
    }
    default:
      return { bytes: Buffer.from(text), type: 'text/plain; charset=utf-8', value: text === '' ? null : text };
  }
}

const SUCCESSES = [200, 201, 202, 203, 226];
const FAILURES = [400, 404, 410, 429, 500, 502, 503, 504];

type Make = (random: Random) => Omit<HostileAnswer, 'name' | 'play'> & { readonly parts: Iterable<Part> };

function honest(random: Random): ReturnType<Make> {
  const status = random.pick([...SUCCESSES, ...FAILURES]);
  const { bytes, type, value } = content(random);
  const isZipped = random.once(4);
  const sent = isZipped ? gzipSync(bytes) : bytes;
  const headers = [`Content-Type: ${type}`, ...(isZipped ? ['Content-Encoding: gzip'] : [])];
  const truth: Truth = value === undefined ? { kind: 'odd' } : { kind: 'whole', status, body: value };
  const whole = (first: string, ...rest: readonly Buffer[]) =>
    inPieces(random, Buffer.concat([Buffer.from(first, 'latin1'), ...rest]));
  switch (random.below(3)) {
    case 0:
      return { truth, parts: whole(head(status, [...headers, `Content-Length: ${sent.length}`]), sent) };
    case 1: {
      const middle = random.below(sent.length);
      const chunks = [sent.subarray(0, middle), sent.subarray(middle)].filter(({ length }) => length > 0).map(chunk);
      const end = Buffer.from('0\r\n\r\n');
      return { truth, parts: whole(head(status, [...headers, 'Transfer-Encoding: chunked']), ...chunks, end) };
    }
    default:
      return { truth, parts: [...whole(head(status, [...headers, CLOSE]), sent), END] };
  }
}

/** The connection is not used again, so that what comes too much is nobody's answer. */
const CLOSE = 'Connection: close';
const cut = { kind: 'cut' } as const;
const odd = { kind: 'odd' } as const;
const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
const deep = Buffer.from('['.repeat(60_000) + ']'.repeat(60_000));

const SHORT: Readonly<Record<string, Make>> = {
  honest,
  'a length that is too long': (random) => {
    const { bytes, type } = content(random);
    const length = bytes.length + 1 + random.below(1000);
    const headers = [`Content-Type: ${type}`, `Content-Length: ${length}`];
    return { truth: cut, parts: [head(200, headers), bytes, random.below(5), random.once(2) ? END : RESET] };
  },
  'a length that is too short': (random) => {
    const { bytes } = content(random);
    return { truth: odd, parts: [head(200, [`Content-Length: ${random.below(bytes.length)}`, CLOSE]), bytes, END] };
  },
  'a length that is none': (random) => {
    const length = random.pick([
      '-1',
      '1e3',
      '0x10',
      '99999999999999999999',
      '1, 2',
      '',
      'many',
      '1\r\nContent-Length: 2',
    ]);
    return { truth: odd, parts: [head(200, [`Content-Length: ${length}`]), 'ab', END] };
  },
  'chunks that break off': (random) => {
    const { bytes } = content(random);
    const parts = [
      head(200, ['Transfer-Encoding: chunked']),
      chunk(Buffer.concat([bytes, Buffer.from('x')])),
      random.below(5),
    ];
    return { truth: cut, parts: [...parts, random.once(2) ? END : RESET] };
  },
  'chunks that are none': (random) => {
    const size = random.pick(['zz', '-5', 'FFFFFFFFFFFFFFFFF', '', '5;'.padEnd(20_000, 'x'), '0x5', '5 5']);
    return { truth: cut, parts: [head(200, ['Transfer-Encoding: chunked']), `${size}\r\nabcde\r\n0\r\n`, END] };
  },
  'two ways to tell the length': () => ({
    truth: odd,
    parts: [head(200, ['Transfer-Encoding: chunked', 'Content-Length: 3']), '3\r\nabc\r\n0\r\n\r\n', END],
  }),
  'a redirect': (random) => {
    const status = random.pick([300, 301, 302, 303, 307, 308]);
    const location = random.pick([
      '/',
      '/loop',
      'http://169.254.169.254/',
      '//evil.example/',
      '\x01',
      'x'.repeat(5000),
    ]);
    return { truth: cut, parts: [head(status, [`Location: ${location}`, 'Content-Length: 0'])] };
  },
  'a huge header': (random) => ({
    truth: odd,
    parts: [head(200, [`X-Huge: ${'x'.repeat(10_000 + random.below(500_000))}`, 'Content-Length: 0']), END],
  }),
  'many headers': (random) => {
    const name = random.pick(['Set-Cookie', 'X-Header', 'Content-Type', 'Retry-After', '__proto__', 'constructor']);
    const many = Array.from({ length: 1 + random.below(900) }, (_, n) => `${name}: v${n}`);
    return { truth: odd, parts: [head(200, [...many, 'Content-Length: 2']), '{}', END] };
  },
  'header lines that are none': (random) => {
    const line = random.pick([
      ': x',
      'no colon',
      'X\x00: y',
      'X: \x00',
      ' folded',
      'X: \x7f\xff\x01',
      'X Y: z',
      'X:\ry',
    ]);
    return { truth: odd, parts: [head(200, [line, 'Content-Length: 0']), END] };
  },
  'a first line that is none': (random) => {
    const line = random.pick([
      'HTTP/1.1 99999 x',
      'HTTP/9.9 200 OK',
      'HTTP/1.1 000 x',
      'HTTP/1.1 999 x',
      'HTTP/1.1 200',
      'ICY 200 OK',
      'HTTP/0.9',
    ]);
    return { truth: odd, parts: [`${line}\r\nContent-Length: 0\r\n\r\n`, END] };
  },
  'a few early answers': (random) => ({
    truth: { kind: 'whole', status: 200, body: 'ok' },
    parts: [
      ...Array.from({ length: 1 + random.below(50) }, () => head(random.pick([100, 102, 103]), ['Link: </a>'])),
      head(200, ['Content-Type: text/plain', 'Content-Length: 2']),
      'ok',
    ],
  }),
  'a body that must not be there': (random) => ({
    truth: odd,
    parts: [head(random.pick([204, 205, 304]), ['Content-Length: 5', CLOSE]), 'abcde', END],
  }),
  'a bomb': (random) => ({
    truth: cut,
    parts: [
      head(200, [
        `Content-Type: ${random.pick(['application/json', 'text/plain', 'image/png'])}`,
        `Content-Encoding: ${random.pick(['gzip', 'GZIP', 'x-gzip'])}`,
        `Content-Length: ${bomb.length}`,
      ]),
      bomb,
    ],
  }),
  'an encoding that is not': (random) => {
    const encoding = random.pick([
      'gzip',
      'deflate',
      'br',
      'zstd',
      Array(30).fill('gzip').join(', '),
      'rot13',
      'identity',
    ]);
    const bytes = random.bytes(1 + random.below(2_000));
    return {
      truth: odd,
      parts: [head(200, [`Content-Encoding: ${encoding}`, `Content-Length: ${bytes.length}`]), bytes],
    };
  },
  'JSON that is none, or deep': (random) => {
    const bytes = random.pick([deep, ...['{"a":', '1e400', '"\\ud800"', 'nul'].map((text) => Buffer.from(text))]);
    const headers = ['Content-Type: application/json', `Content-Length: ${bytes.length}`];
    return { truth: odd, parts: [head(random.pick([200, 500]), headers), bytes] };
  },
  'a charset that is none': (random) => {
    const charset = random.pick([
      'utf-7',
      'x'.repeat(3000),
      '"',
      'iso-8859-1',
      'utf-16le',
      'shift_jis',
      '\xff',
      "utf-8''",
    ]);
    const bytes = random.bytes(random.below(500));
    const headers = [`Content-Type: text/plain; charset=${charset}`, `Content-Length: ${bytes.length}`];
    return { truth: odd, parts: [head(200, headers), bytes] };
  },
  'a time to wait that is none': (random) => {
    const wait = random.pick([
      '-1',
      '1e9',
      '45.9',
      'tomorrow',
      '99999999999999',
      'Thu, 01 Jan 1970 00:00:00 GMT',
      'NaN',
    ]);
    return { truth: odd, parts: [head(503, [`Retry-After: ${wait}`, 'Content-Length: 0'])] };
  },
  'a reset': (random) => {
    const bytes = Buffer.concat([Buffer.from(head(200, ['Content-Length: 100'])), Buffer.alloc(99)]);
    return { truth: cut, parts: [...inPieces(random, bytes.subarray(0, random.below(bytes.length))), RESET] };
  },
  'nothing at all': (random) => ({ truth: cut, parts: [random.once(2) ? END : RESET] }),
  garbage: (random) => ({ truth: odd, parts: [...inPieces(random, random.bytes(1 + random.below(3_000))), END] }),
  'bytes changed': (random) => {
    const body = random.text(200);
    const bytes = Buffer.from(head(200, ['Content-Type: application/json', `Content-Length: ${body.length}`]) + body);
    for (let times = 1 + random.below(4); times > 0; times--) bytes[random.below(bytes.length)] = random.below(256);
    return { truth: odd, parts: [...inPieces(random, bytes), END] };
  },
  'a body without an end': () => ({
    truth: cut,
    parts: (function* () {
      yield head(200, ['Content-Type: text/plain']);
      yield* forEver(Buffer.alloc(64 * 1024, 'x'));
    })(),
  }),
};

const endless = (first: string, part: Part, pauseMs: number): ReturnType<Make> => ({
  truth: cut,
  endless: true,
  parts: (function* () {
    yield first;
    yield* forEver(part, pauseMs);
  })(),
});

const ENDLESS: Readonly<Record<string, Make>> = {
  'headers without an end': (random) => endless('HTTP/1.1 200 OK\r\n', `X-${random.below(1000)}: y\r\n`, 1),
  'early answers without an end': (random) => endless('', head(random.pick([100, 102, 103])), 0),
  'a body, byte by byte': () => endless(head(200, ['Content-Length: 100000']), 'x', 2),
  'chunks, byte by byte': () => endless(head(200, ['Transfer-Encoding: chunked']), '1\r\nx\r\n', 2),
  'a first line, byte by byte': () => endless('HTTP/1.1 200 ', 'x', 2),
  silence: () => endless('', '', 50),
  'a length that never comes': () => endless(head(200, ['Content-Length: 5']) + 'abc', '', 50),
  'another protocol': () => endless(head(101, ['Connection: upgrade', 'Upgrade: websocket']), '\x81\x05hello', 5),
};

/** One answer of a receiver that means harm, or cannot do better. */
export function hostileAnswer(random: Random): HostileAnswer {
  const kinds = random.once(16) ? ENDLESS : SHORT;
  const name = random.once(3) ? 'honest' : random.pick(Object.keys(kinds));
  const { parts, ...answer } = (kinds[name] ?? honest)(random);
  return { name, ...answer, play: (socket) => write(socket, parts) };
}
