import type { Json, JsonObject } from '#libs/kernel/src/json.js';
import { headersOf } from '#libs/plugin-sdk/src/http-file.js';
import type { HttpFile } from '#libs/plugin-sdk/src/http-file.js';

import type { Random } from './random.js';

/** JSON texts over which parsers and readers stumble. */
const TEXTS = [
  'null',
  'true',
  '0',
  '-0',
  '-1',
  '9007199254740993',
  '123456789012345678901234567890',
  '1e308',
  '1e999',
  '-1e-999',
  '""',
  '" "',
  '"\\u0000"',
  '"\\ud800"',
  '"\\udc00\\ud800"',
  '"\u2028"',
  '"%00%ff%zz"',
  '"../../etc/passwd"',
  '"constructor"',
  '"__proto__"',
  '"2026-13-45T99:99:99Z"',
  '"+275760-09-13T00:00:00.001Z"',
  '"refs/heads/"',
  '"refs/tags/"',
  '"0000000000000000000000000000000000000000"',
  '[]',
  '{}',
  '[null]',
  '[[]]',
  '[{}]',
  '{"":""}',
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"toString":null,"valueOf":null}',
  '{"length":-1}',
  '{"length":4294967296,"0":"x"}',
  '{"id":1,"id":2}',
  `${'['.repeat(63)}${']'.repeat(63)}`,
  `${'['.repeat(70)}${']'.repeat(70)}`,
  `${'{"a":'.repeat(62)}0${'}'.repeat(62)}`,
  `"${'x'.repeat(70_000)}"`,
  `[${'0,'.repeat(5_000)}0]`,
  `[${'{"id":"x","added":["a"]},'.repeat(300)}null]`,
];

/** A marker that is no part of any saved request, to be replaced in the written text: what JSON.stringify cannot write. */
const MARK = '\u0001fuzz\u0001';

/** JSON text of the value with some of its parts replaced, left out, doubled or moved. */
export function mutatedJson(value: Json, random: Random): string {
  let changed = value;
  const times = 1 + random.below(3);
  for (let time = 0; time < times; time++) changed = withPart(changed, random);
  return JSON.stringify(changed).replaceAll(JSON.stringify(MARK), () => random.pick(TEXTS));
}

/** Walks down to a random part and changes it. */
function withPart(value: Json, random: Random): Json {
  const isDeeper = typeof value === 'object' && value !== null && Object.keys(value).length > 0;
  if (!isDeeper || random.once(8)) return MARK;
  if (Array.isArray(value)) {
    const list = [...(value as readonly Json[])];
    const at = random.below(list.length);
    if (random.once(6)) list.splice(at, 1);
    else if (random.once(6)) list.push(...list.slice(at));
    else list[at] = withPart(list[at]!, random);
    return list;
  }
  const object = value as JsonObject;
  const names = Object.keys(object);
  const name = random.pick(names);
  if (random.once(6)) return Object.fromEntries(Object.entries(object).filter(([other]) => other !== name));
  if (random.once(8)) return { ...object, [random.pick(names)]: object[name]! };
  return { ...object, [name]: withPart(object[name]!, random) };
}

const BYTES = [
  '\0',
  '\xff\xfe',
  '\xed\xa0\x80',
  '\xef\xbb\xbf',
  '"',
  '\\',
  '{',
  '[',
  ',',
  '\r\n',
  '\n',
  '%',
  '&',
  '=',
  '+',
];

/** Bytes flipped, put in, taken out, doubled or cut off. */
export function mutatedBytes(bytes: Buffer, random: Random): Buffer {
  let changed = bytes;
  const times = 1 + random.below(4);
  for (let time = 0; time < times; time++) {
    const at = random.below(changed.length + 1);
    const to = Math.min(changed.length, at + random.below(32));
    const parts: Record<string, () => Buffer[]> = {
      flip: () => [changed.subarray(0, at), flipped(changed.subarray(at, at + 1), random), changed.subarray(at + 1)],
      insert: () => [changed.subarray(0, at), Buffer.from(random.pick(BYTES), 'latin1'), changed.subarray(at)],
      noise: () => [changed.subarray(0, at), random.bytes(random.below(16)), changed.subarray(at)],
      remove: () => [changed.subarray(0, at), changed.subarray(to)],
      double: () => [changed.subarray(0, to), changed.subarray(at)],
      cut: () => [changed.subarray(0, at)],
      json: () => [changed.subarray(0, at), Buffer.from(random.pick(TEXTS)), changed.subarray(to)],
    };
    changed = Buffer.concat(parts[random.pick(Object.keys(parts))]!());
  }
  return changed;
}

function flipped(byte: Buffer, random: Random): Buffer {
  return byte.length === 0 ? byte : Buffer.of(byte[0]! ^ (1 << random.below(8)));
}

const HEADER_NAMES = [
  'content-type',
  'content-encoding',
  'authorization',
  'idempotency-key',
  'x-forwarded-for',
  'x-github-event',
  'x-gitlab-event',
  'x-event-type',
  'x-slack-retry-num',
  'webhook-id',
  'ce-id',
  'ce-type',
  'ce-source',
  'ce-time',
  'cookie',
  'x-noise',
];
const HEADER_VALUES = [
  '',
  '0',
  '-1',
  'null',
  'push',
  'application/json',
  'application/json; charset=utf-16',
  'application/x-ndjson',
  'application/x-www-form-urlencoded',
  'application/cloudevents+json',
  'application/cloudevents-batch+json',
  'multipart/form-data; boundary=x',
  'gzip',
  'identity, br',
  'Bearer',
  'Bearer x.y.z',
  'sha256=',
  `sha256=${'0'.repeat(64)}`,
  'v1,AAAA v1a,BBBB',
  '::1, 127.0.0.1, nonsense',
  '%00%zz',
  '1970-01-01T00:00:00Z',
];

/** Headers changed, added or left out. Values are such as HTTP can carry. */
export function mutatedHeaders(headers: HttpFile['headers'], random: Random): HttpFile['headers'] {
  const changed = [...headers];
  const times = 1 + random.below(3);
  for (let time = 0; time < times; time++) {
    const at = random.below(changed.length);
    const name = random.once(2) ? (changed[at]?.[0] ?? 'x-noise') : random.pick(HEADER_NAMES);
    const value = random.once(3) ? random.text(random.below(80)).trim() : random.pick(HEADER_VALUES);
    if (random.once(4)) changed.splice(at, 1);
    else if (random.once(4)) changed.push([name, value]);
    else changed.splice(at, changed[at]?.[0] === name ? 1 : 0, [name, value]);
  }
  return changed;
}

/** The body's value as text in the form in which it was sent, with changes; bytes changed where it is no JSON at all. */
export function mutatedBody(file: HttpFile, random: Random): Buffer {
  if (random.once(3)) return mutatedBytes(file.body, random);
  const text = file.body.toString('utf8');
  const type = headersOf(file)['content-type'] ?? '';
  try {
    if (!type.includes('form')) {
      const lines = type.includes('ndjson') ? text.trim().split('\n') : [text];
      return Buffer.from(lines.map((line) => mutatedJson(JSON.parse(line) as Json, random)).join('\n'));
    }
    const fields = new URLSearchParams(text);
    const payload = fields.get('payload');
    if (payload !== null) fields.set('payload', mutatedJson(JSON.parse(payload) as Json, random));
    else for (const name of [...fields.keys()]) if (random.once(4)) fields.set(name, random.pick(TEXTS).slice(0, 200));
    return Buffer.from(fields.toString());
  } catch {
    return mutatedBytes(file.body, random);
  }
}
