import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { Json } from '#libs/kernel/src/json.js';
import { anyCharacter } from '#libs/kernel/testing/any-character.js';

import { BodyFault, isDeeperThan, MAX_DEPTH, mediaTypeOf, parseBody, type ParsedBody } from './inbound-body.js';

const parse = (body: Buffer | string, contentType: string, headers: Record<string, string> = {}) =>
  parseBody({
    rawBody: Buffer.from(body),
    headers: { 'content-type': contentType, ...headers },
    contentType: mediaTypeOf(contentType),
    query: {},
    sourceIp: '127.0.0.1',
  });
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
      fc.property(bytes, type, (body, contentType) => {
        const outcome = parse(body, contentType);
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

  it.each(['gzip', 'br', 'deflate', 'identity, gzip'])('encoded with %s is refused', (encoding) => {
    expect(parse('{}', 'application/json', { 'content-encoding': encoding })).toMatchObject({ status: 415 });
  });

  it('may say that it is not encoded', () => {
    expect(parse('{}', 'application/json', { 'content-encoding': 'identity' })).not.toBeInstanceOf(BodyFault);
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
  const none = { kind: 'json', values: [{ value: null, text: 'null' }] };
  const binary = { 'ce-specversion': '1.0' };

  it.each(['', 'application/json', 'application/xml', 'application/x-ndjson'])(
    'is the data that a CloudEvent in binary mode does not have, as %j',
    (type) => {
      expect(parse('', type, binary)).toEqual(none);
    },
  );

  it.each(['', 'application/json', 'application/cloudevents+json', 'application/cloudevents-batch+json'])(
    'is nothing that can be read in any other case, as %j',
    (type) => {
      expect(parse('', type)).toBeInstanceOf(BodyFault);
      if (type.includes('cloudevents')) expect(parse('', type, binary)).toBeInstanceOf(BodyFault);
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
          expect(values.map(({ value }) => value)).toEqual(texts.map((text) => JSON.parse(text) as Json));
        },
      ),
    );
  });

  it.each(['[]', '{}', '[1', '', '1', '[1] x'])('is not %j', (text) => {
    expect(batch(text)).toMatchObject({ status: 400, code: 'inbound.not_batch' });
  });
});
