import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { ExactNumber } from '#libs/kernel/src/text/exact-json.js';
import type { Json } from '#libs/kernel/src/json.js';
import { anyCharacter } from '#libs/kernel/testing/any-character.js';

import { BodyFault, isDeeperThan, MAX_DEPTH, mediaTypeOf, parseBody, type ParsedBody } from './inbound-body.js';

const parse = (body: Buffer | string, contentType: string, headers: Record<string, string> = {}, anyBody = false) =>
  parseBody(
    {
      rawBody: Buffer.from(body),
      headers: { ...(contentType !== '' && { 'content-type': contentType }), ...headers },
      contentType: mediaTypeOf(contentType),
      query: {},
      sourceIp: '127.0.0.1',
    },
    anyBody,
  );
const parsed = (outcome: ParsedBody | BodyFault): ParsedBody => {
  if (outcome instanceof BodyFault) throw new Error(`refused: ${outcome.code}`);
  return outcome;
};

const TYPES = [
  'application/json',
  'application/json; charset="UTF-8"',
  'APPLICATION/JSON',
  'application/vnd.acme+json',
  'application/x-www-form-urlencoded',
  'application/x-ndjson',
  'application/cloudevents-batch+json',
  'text/json',
];

describe('a body', () => {
  it('of any bytes, under any type, is read or refused, and never throws', () => {
    const type = fc.oneof(fc.constantFrom(...TYPES), fc.string({ unit: anyCharacter }));
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
      fc.json().map((text) => Buffer.from(text)),
      fc.string({ unit: anyCharacter }).map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(bytes, type, fc.boolean(), (body, contentType, anyBody) => {
        const outcome = parse(body, contentType, {}, anyBody);
        if (!(outcome instanceof BodyFault))
          for (const { value, text } of outcome.values)
            expect(JSON.stringify(JSON.parse(text))).toBe(JSON.stringify(value));
      }),
      { numRuns: 300 },
    );
  });

  it('of JSON keeps its text to the last byte', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom('', ' ', '\n\t'), (value, space) => {
        const text = `${space}${JSON.stringify(value, null, space)}${space}`;
        expect(parsed(parse(text, 'application/json')).values[0]!.text).toBe(text);
      }),
    );
  });

  it('that is a form gives back what was encoded', () => {
    const pairs = fc.array(fc.tuple(fc.string({ minLength: 1 }), fc.string({ unit: 'grapheme' })), { minLength: 1 });
    fc.assert(
      fc.property(pairs, (given) => {
        fc.pre(given.every(([name]) => name !== 'payload'));
        const outcome = parse(new URLSearchParams(given).toString(), 'application/x-www-form-urlencoded');
        const fields = parsed(outcome).values[0]!.value as Record<string, string | string[]>;
        for (const [name] of given) {
          const values = given.filter(([other]) => other === name).map(([, value]) => value);
          expect(Object.getOwnPropertyDescriptor(fields, name)?.value).toEqual(
            values.length === 1 ? values[0] : values,
          );
        }
      }),
    );
  });

  it('whose field payload is no JSON keeps it as text', () => {
    const outcome = parse('payload=hello&x=1', 'application/x-www-form-urlencoded');
    expect(parsed(outcome).values[0]!.value).toEqual({ payload: 'hello', x: '1' });
  });

  it('of lines has a value for each that is not blank', () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue(), { minLength: 1, maxLength: 20 }),
        fc.constantFrom('\n', '\r\n', '\n\n'),
        (values, end) => {
          const text = values.map((value) => JSON.stringify(value)).join(end);
          expect(parsed(parse(text, 'application/x-ndjson')).values.map(({ text: line }) => line)).toEqual(
            values.map((value) => JSON.stringify(value)),
          );
        },
      ),
    );
  });

  it.each(['gzip', 'GZIP', 'x-gzip', 'br', 'deflate', 'zstd', 'identity, gzip'])(
    'compressed by %s is refused',
    (encoding) => {
      expect(parse('{}', 'application/json', { 'content-encoding': encoding })).toMatchObject({ status: 415 });
    },
  );

  it.each(['identity', 'Identity', 'UTF-8', 'utf8', '', ' ', 'amz-1.0', 'none', '8bit'])(
    'with the Content-Encoding %j is not compressed',
    (encoding) => {
      expect(parse('{}', 'application/json', { 'content-encoding': encoding })).not.toBeInstanceOf(BodyFault);
    },
  );

  it('keeps the digits of numbers that JavaScript changes', () => {
    for (const [type, text] of [
      ['application/json', '{"id":1187436509226700801,"big":[1e400]}'],
      ['application/x-ndjson', '{"id":1187436509226700801,"big":[1e400]}\n'],
      ['application/cloudevents-batch+json', '[{"id":1187436509226700801,"big":[1e400]}]'],
      ['application/x-www-form-urlencoded', 'payload=%7B"id":1187436509226700801,"big":[1e400]}'],
    ] as const)
      expect(parsed(parse(text, type)).values[0]!.value).toEqual({
        id: new ExactNumber('1187436509226700801'),
        big: [new ExactNumber('1e400')],
      });
  });
});

describe('the charset of a body', () => {
  const latin = (text: string) => Buffer.from(text, 'latin1');

  it.each(['ISO-8859-1', '"latin1"', 'windows-1252'])('may be %s, where Content-Type says so', (charset) => {
    const json = parse(latin('{"a":"caf\xe9 \x80"}'), `application/json; charset=${charset}`);
    expect(parsed(json).values[0]).toEqual({ value: { a: 'café €' }, text: '{"a":"café €"}', mayHoldExact: false });
    const form = parse('a=caf%E9+%80&b=%C3%A9', `application/x-www-form-urlencoded; charset=${charset}`);
    expect(parsed(form).values[0]!.value).toEqual({ a: 'café €', b: 'Ã©' });
  });

  it('of a form is Latin-1, value by value, where it is not valid UTF-8', () => {
    const form = (body: string | Buffer) => parsed(parse(body, 'application/x-www-form-urlencoded')).values[0]!.value;
    expect(form('a=caf%E9&b=caf%C3%A9&%FF=%80')).toEqual({ a: 'café', b: 'café', ÿ: '€' });
    expect(form(latin('name=Zo\xeb+%2B'))).toEqual({ name: 'Zoë +' });
    expect(form('name=Zoë+%E2%98%83')).toEqual({ name: 'Zoë ☃' });
  });

  it('is nothing else', () => {
    expect(parse('{}', 'application/json; charset=utf-16')).toMatchObject({ status: 415 });
    expect(parse(latin('{"a":"caf\xe9"}'), 'application/json')).toMatchObject({ code: 'inbound.not_utf8' });
    expect(parse('a=%zz', 'application/x-www-form-urlencoded')).toMatchObject({ code: 'inbound.not_form' });
    expect(parse('a=%', 'application/x-www-form-urlencoded')).toMatchObject({ code: 'inbound.not_form' });
  });
});

describe('a body of another type', () => {
  const any = (body: string | Buffer, type: string) => parsed(parse(body, type, {}, true));
  const types = [
    'text/plain',
    'text/plain; charset=UTF-8',
    'application/xml',
    'multipart/form-data; boundary=x',
    'nonsense',
  ];

  it.each(types)('is its text, for a provider that takes any, as %s', (type) => {
    const text = 'disk "full"\n\u0000é {"a":1}';
    expect(any(text, type)).toMatchObject({
      kind: 'text',
      values: [{ value: { text }, text: JSON.stringify({ text }) }],
    });
    expect(any('{"a":1}', type).values[0]!.value).toEqual({ text: '{"a":1}' });
  });

  it.each(['application/octet-stream', 'image/png', 'text/plain', ''])(
    'is its bytes in base64 where it is no text, as %j',
    (type) => {
      const bytes = Buffer.from([0x89, 0x50, 0xff, 0x00]);
      expect(any(bytes, type)).toMatchObject({
        kind: 'bytes',
        values: [{ value: { base64: bytes.toString('base64') } }],
      });
    },
  );

  it('is JSON where no type was sent and it is', () => {
    expect(any(' {"a":[1]}', '').values[0]).toEqual({ value: { a: [1] }, text: ' {"a":[1]}', mayHoldExact: false });
    expect(any('[{"a":1}]', '').kind).toBe('json');
    expect(any('{"a":', '').values[0]!.value).toEqual({ text: '{"a":' });
    expect(any('12', '').values[0]!.value).toEqual({ text: '12' });
    expect(parse('['.repeat(100) + ']'.repeat(100), '', {}, true)).toMatchObject({ code: 'inbound.too_deep' });
  });

  it.each([...types, ''])('is JSON or refused, for any other provider, as %j', (type) => {
    expect(parsed(parse('{"a":1}', type)).values[0]!.value).toEqual({ a: 1 });
    expect(parse('<xml/>', type)).toMatchObject({ status: 415, detail: expect.stringContaining('application/json') });
  });

  it('comes back from what is written', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), (array) => {
        const bytes = Buffer.from(array);
        const { kind, values } = any(bytes, 'application/octet-stream');
        const value = JSON.parse(values[0]!.text) as { text?: string; base64?: string };
        const back = kind === 'text' ? Buffer.from(value.text!) : Buffer.from(value.base64!, 'base64');
        expect(back.equals(bytes) || bytes.subarray(3).equals(back)).toBe(true);
      }),
    );
  });
});

describe('the depth of a value', () => {
  const nested = (depth: number): Json => {
    let value: Json = 1;
    for (let n = 0; n < depth; n++) value = n % 2 === 0 ? [0, value] : { a: 1, b: value };
    return value;
  };

  it('is counted in arrays and objects', () => {
    expect(isDeeperThan(7, 0)).toBe(false);
    for (const depth of [1, 2, 63, 64]) {
      expect(isDeeperThan(nested(depth), depth)).toBe(false);
      expect(isDeeperThan(nested(depth), depth - 1)).toBe(true);
    }
  });

  it('is looked at no deeper than it may be', () => {
    expect(isDeeperThan(nested(200_000), MAX_DEPTH)).toBe(true);
  });
});

describe('an empty body', () => {
  const none = { kind: 'json', values: [{ value: null, text: 'null', mayHoldExact: false }] };
  const binary = { 'ce-specversion': '1.0' };

  it.each(['', 'application/json', 'application/xml', 'application/x-ndjson'])(
    'is the data that a CloudEvent in binary mode does not have, as %j',
    (type) => {
      expect(parse('', type, binary)).toEqual(none);
    },
  );

  it.each([...TYPES.filter((type) => !type.includes('batch')), '', 'text/plain', 'application/cloudevents+json'])(
    'is an empty object in any other case, as %j',
    (type) => {
      for (const anyBody of [true, false])
        expect(parse('', type, {}, anyBody)).toMatchObject({ kind: 'json', values: [{ value: {}, text: '{}' }] });
    },
  );
});

describe('a batch', () => {
  const batch = (text: string) => parse(text, 'application/cloudevents-batch+json');

  it('is its elements, each as it was written', () => {
    const text = ' [ {"a": [1, "],}"], "n": 12345678901234567890} , "x\\"],[" ,\n3.50, [[]], {} ] ';
    expect(parsed(batch(text))).toMatchObject({
      kind: 'batch',
      values: [
        { text: '{"a": [1, "],}"], "n": 12345678901234567890}' },
        { text: '"x\\"],["' },
        { text: '3.50' },
        { text: '[[]]' },
        { text: '{}' },
      ],
    });
  });

  it('has the text of each of its values, whatever they are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.json(), { minLength: 1, maxLength: 20 }),
        fc.constantFrom(',', ' ,\n\t'),
        (texts, comma) => {
          const { values } = parsed(batch(`[${texts.join(comma)}]`));
          expect(values.map(({ text }) => text)).toEqual(texts.map((text) => text.trim()));
          expect(JSON.stringify(values.map(({ value }) => value))).toBe(
            JSON.stringify(texts.map((text) => JSON.parse(text) as Json)),
          );
        },
      ),
    );
  });

  it.each(['[]', ' [\n] '])('may be empty, as the specification says: %j', (text) => {
    expect(batch(text)).toEqual({ kind: 'batch', values: [] });
  });

  it.each(['{}', '[1', '', '1', '[1] x'])('is not %j', (text) => {
    expect(batch(text)).toMatchObject({ status: 400, code: 'inbound.not_batch' });
  });
});
