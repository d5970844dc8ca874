import { isExactNumber, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { isObject, type Json, type JsonObject } from '#libs/kernel/src/json.js';

export { stringifyJson };
export type { Json, JsonObject };

/**
 * Reading JSON that may hold anything: each gives what was asked for, or `undefined` if the field is missing, null or of
 * another type. None throws.
 */
export type Fields = Readonly<Record<string, Json | undefined>>;

const NOTHING: Fields = Object.freeze(Object.create(null) as Record<string, never>);

/** The fields of an object; of anything else none. */
export const fieldsOf = (value: Json | undefined): Fields => (isObject(value) ? value : NOTHING);

/** The object itself; of anything else an empty one. */
export const objectOf = (value: Json | undefined): JsonObject => (isObject(value) ? value : {});

/** The elements of an array; of anything else none. */
export const listOf = (value: Json | undefined): readonly Json[] =>
  Array.isArray(value) ? (value as readonly Json[]) : [];

/** A text that is not empty. */
export const textOf = (value: Json | undefined): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

export const integerOf = (value: Json | undefined): number | undefined =>
  Number.isSafeInteger(value) ? (value as number) : undefined;

export const booleanOf = (value: Json | undefined): boolean | undefined =>
  typeof value === 'boolean' ? value : undefined;

/** An id as text, whether the sender uses numbers or texts. Numbers of any length keep their digits. */
export const idOf = (value: Json | undefined): string | undefined => {
  if (isExactNumber(value)) return value.text;
  const number = integerOf(value);
  return number === undefined ? textOf(value) : String(number);
};

/** Those elements that are texts; none of anything that is no array. Where "not sent" differs from "none", ask {@link knownTextsOf}. */
export const textsOf = (value: Json | undefined): readonly string[] =>
  listOf(value).filter((element) => typeof element === 'string');

/** Those elements that are texts; `undefined` if the list is missing, null or of another type. */
export const knownTextsOf = (value: Json | undefined): readonly string[] | undefined =>
  Array.isArray(value) ? textsOf(value as Json) : undefined;

/** The object without fields that are `undefined`: what is not known is absent. */
export function known<Given extends Readonly<Record<string, Json | undefined>>>(
  given: Given,
): { readonly [K in keyof Given]: Exclude<Given[K], undefined> } & JsonObject {
  const kept: Record<string, Json> = {};
  for (const key in given) {
    const value = given[key];
    if (value !== undefined) kept[key] = value;
  }
  return kept as { readonly [K in keyof Given]: Exclude<Given[K], undefined> } & JsonObject;
}
