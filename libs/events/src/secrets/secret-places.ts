import { type Static, Type } from '@sinclair/typebox';

import { pointerToken } from '#libs/kernel/src/json.js';

/**
 * A value with secrets is recorded with `${{ secrets.NAME }}` in the place of each, and these places beside it. Only what
 * stands in a recorded place is replaced when the effect is done: the same text in the data of an event is a text.
 */
export const SecretPlace = Type.Object({
  pointer: Type.String({ description: 'JSON pointer of the string that has it' }),
  index: Type.Integer({ minimum: 0, description: 'where it begins in that string' }),
  name: Type.String(),
});
export type SecretPlace = Static<typeof SecretPlace>;

/** Of an event whose data may have secrets to be put in. */
export const secretPlaces = Type.Optional(
  Type.Array(SecretPlace, { description: 'where secrets are put in when the effect is done' }),
);

/** What is recorded in the place of a secret. */
export const shownSecret = (name: string): string => `\${{ secrets.${name} }}`;

/** Changes each string of a JSON value; what holds none that changes is returned as it is. */
export function eachString(value: unknown, change: (text: string, pointer: string) => string, pointer = ''): unknown {
  if (typeof value === 'string') return change(value, pointer);
  if (Array.isArray(value)) {
    const items = value.map((item, index) => eachString(item, change, `${pointer}/${index}`));
    return items.every((item, index) => item === value[index]) ? value : items;
  }
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const entries = Object.entries(value).map(
    ([key, item]) => [key, item, eachString(item, change, `${pointer}/${pointerToken(key)}`)] as const,
  );
  if (entries.every(([, before, after]) => before === after)) return value;
  return Object.fromEntries(entries.map(([key, , item]) => [key, item]));
}

/** The value with the secrets in their places. @param values by name; a place whose secret is not there stays. */
export function withSecrets<T>(value: T, places: readonly SecretPlace[], values: ReadonlyMap<string, string>): T {
  if (places.length === 0) return value;
  const put = (text: string, pointer: string): string =>
    places
      .filter((place) => place.pointer === pointer)
      .sort((a, b) => b.index - a.index)
      .reduce((left, { index, name }) => {
        const shown = shownSecret(name);
        const secret = left.startsWith(shown, index) ? values.get(name) : undefined;
        return secret === undefined ? left : left.slice(0, index) + secret + left.slice(index + shown.length);
      }, text);
  return eachString(value, put) as T;
}
