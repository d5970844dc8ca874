import { isObject } from '#libs/kernel/src/json.js';
import { beginning } from '#libs/kernel/src/text/text.js';

/** All elements of a list, or all values of an object. */
export const EVERY = Symbol('every');

/** Steps from `data` to a field. */
export type FieldPath = readonly (string | typeof EVERY)[];

/** Parts of `data` that belong to people. */
export interface PersonalPart {
  /** Ids of the people, as the sender writes them. */
  readonly subjects: readonly string[];
  readonly fields: readonly FieldPath[];
}

/** How the text of an encrypted value begins. A text, so that it fits wherever rows keep a text. */
export const SEALED = '$sealed:';

/** The beginning of a text for a list. Of an encrypted one all: a part of it cannot be decrypted. */
export const beginningUnlessSealed = (text: string, most: number): string =>
  text.startsWith(SEALED) ? text : beginning(text, most);

/** The reason of what ends because it needs a value of somebody who was erased. */
export const SUBJECT_ERASED = 'subject.erased';

/** What readers see in place of a value whose key was destroyed. */
export const ERASED = { $erased: true } as const;

/**
 * The value with each field at the path replaced; what is not on the path is shared with the value. Fields that are absent
 * or null stay so.
 * @param place steps to the value itself.
 */
export function mapAt(
  value: unknown,
  path: FieldPath,
  change: (field: unknown, place: readonly string[]) => unknown,
  place: readonly string[] = [],
): unknown {
  if (value === undefined || value === null) return value;
  const [step, ...rest] = path;
  if (step === undefined) return change(value, place);
  const changed = (key: string, part: unknown) => mapAt(part, rest, change, [...place, key]);
  if (step === EVERY) {
    if (Array.isArray(value)) return value.map((part, index) => changed(String(index), part));
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, changed(key, part)]));
  }
  if (!isObject(value) || !Object.hasOwn(value, step)) return value;
  return { ...value, [step]: changed(step, value[step]) };
}
