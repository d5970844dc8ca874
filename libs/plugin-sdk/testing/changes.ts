import fc from 'fast-check';

import { anyCharacter } from '#libs/kernel/testing/any-character.js';

import type { InboundRequest } from '../src/define-provider.js';
import type { Json, JsonObject } from '../src/fields.js';

/** Any text, and what parsers stumble over. */
export const headerValue = fc.oneof(
  fc.string({ unit: anyCharacter }),
  fc.constantFrom(
    '',
    '%',
    '%ff',
    '{"',
    '[',
    '=',
    ',',
    ' , ,',
    '1e999',
    '-1',
    'NaN',
    'Bearer',
    'Bearer a.b.c',
    't=,v1=',
  ),
  fc.string().map((text) => text.repeat(1000)),
);

export const without = (headers: InboundRequest['headers'], names: readonly string[]): InboundRequest['headers'] =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));

/** The text with one letter or digit changed, for each of the last ones. */
export const changesOf = (text: string): readonly string[] =>
  [...text]
    .map((letter, at) => (/[A-Za-z0-9]/.test(letter) ? at : -1))
    .filter((at) => at >= 0)
    .slice(-20)
    .map((at) => otherLetter(text, at));

export const otherLetter = (text: string, at: number): string =>
  `${text.slice(0, at)}${text[at] === '1' ? '2' : '1'}${text.slice(at + 1)}`;

/** The value with one part of it replaced or left out. */
export function changed(value: Json): fc.Arbitrary<Json> {
  const paths: (readonly (string | number)[])[] = [];
  const walk = (part: Json, path: readonly (string | number)[]): void => {
    paths.push(path);
    if (typeof part !== 'object' || part === null || path.length > 8) return;
    for (const [key, inner] of Object.entries(part)) walk(inner, [...path, key]);
  };
  walk(value, []);
  return fc
    .tuple(fc.constantFrom(...paths), fc.option(fc.jsonValue({ maxDepth: 2 }), { nil: undefined }))
    .map(([path, other]) => replaced(value, path, other as Json | undefined));
}

function replaced(value: Json, [key, ...rest]: readonly (string | number)[], other: Json | undefined): Json {
  if (key === undefined) return other ?? null;
  if (Array.isArray(value))
    return value.map((item: Json, at) => (String(at) === key ? replaced(item, rest, other) : item));
  const object = value as JsonObject;
  const entries = Object.entries(object).flatMap(([name, inner]): [string, Json][] => {
    if (name !== key) return [[name, inner]];
    return rest.length === 0 && other === undefined ? [] : [[name, replaced(inner, rest, other)]];
  });
  return Object.fromEntries(entries);
}
