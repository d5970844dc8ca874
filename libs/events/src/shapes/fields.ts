import {
  OptionalKind,
  type Static,
  type TObject,
  type TOptional,
  type TProperties,
  type TSchema,
  type TUnsafe,
  Type,
} from '@sinclair/typebox';

/**
 * ONE SHAPE, ONE SPELLING. The fields of a resource are written once, as they are sent
 * to create one. What may be sent to change it, what the log keeps and what is answered is derived from them.
 */

/** An object with these keys and no others. */
export const closed = <P extends TProperties>(properties: P, options: object = {}): TObject<P> =>
  Type.Object(properties, { ...options, additionalProperties: false });

declare const DEFAULTED: unique symbol;
interface Defaulted {
  readonly [DEFAULTED]: true;
}
const defaults = new WeakMap<TSchema, unknown>();

/** A field that may be left out, and is kept with this value then. */
export function defaulted<T extends TSchema>(schema: T, value: Static<T>): TOptional<T> & Defaulted {
  const field = Type.Optional({ ...schema, default: value });
  defaults.set(field, value);
  return field as unknown as TOptional<T> & Defaulted;
}

/** A value, or `null`. */
export type Nullable<T extends TSchema> = TUnsafe<Static<T> | null>;

export function nullable<T extends TSchema>(schema: T): Nullable<T> {
  const { type, anyOf, expected, ...rest } = Type.Optional(schema, false) as {
    type?: unknown;
    anyOf?: readonly unknown[];
    expected?: string;
  };
  return Type.Unsafe<Static<T> | null>({
    ...rest,
    ...(type !== undefined && { type: [type, 'null'].flat() }),
    ...(anyOf && { anyOf: [...anyOf, { type: 'null' }] }),
    ...(expected !== undefined && { expected: `${expected}, or null` }),
  });
}

type Present<T> = T extends TOptional<infer S> ? S : T;
type NullWhereOptional<T> = T extends Defaulted ? Present<T> : T extends TOptional<infer S> ? Nullable<S> : T;

/** Fields as the log keeps them: what has a default is always there. */
export type Kept<P extends TProperties> = { [K in keyof P]: P[K] extends Defaulted ? Present<P[K]> : P[K] };

export const kept = <P extends TProperties>(fields: P): Kept<P> =>
  each(fields, (field) => (defaults.has(field) ? Type.Optional(field, false) : field));

/** Fields as they are sent to change a thing: what is left out stays, and `null` removes what may be absent. */
export type Changes<P extends TProperties> = {
  [K in keyof P]: NullWhereOptional<P[K]> extends infer T extends TSchema ? TOptional<T> : never;
};

export const changes = <P extends TProperties>(fields: P): Changes<P> =>
  each(fields, (field) => {
    const change = { ...(mayBeAbsent(field) ? nullable(field) : field) };
    // What is left out of a change is not set to its default.
    delete change.default;
    return Type.Optional(change);
  });

/** Fields as they are answered where each is always there: `null` stands for what is absent. */
export type Shown<P extends TProperties> = { [K in keyof P]: NullWhereOptional<P[K]> };

export const shown = <P extends TProperties>(fields: P): Shown<P> =>
  each(fields, (field) => (mayBeAbsent(field) ? nullable(field) : Type.Optional(field, false)));

/** What was sent to create a thing, with the defaults of what was left out, in the order of the fields. */
export function withDefaults<P extends TProperties>(fields: P, given: object): Static<TObject<Kept<P>>> {
  const value = (key: string): unknown => (given as Record<string, unknown>)[key];
  const all = Object.entries(fields).map(([key, field]) => [key, value(key) ?? defaults.get(field)]);
  return Object.fromEntries(all.filter(([, each]) => each !== undefined && each !== null)) as Static<TObject<Kept<P>>>;
}

/** What is kept as it is answered: `null` for what is absent. */
export const asShown = <P extends TProperties>(fields: P, values: object): Static<TObject<Shown<P>>> =>
  Object.fromEntries(
    Object.keys(fields).map((key) => [key, (values as Record<string, unknown>)[key] ?? null]),
  ) as Static<TObject<Shown<P>>>;

const mayBeAbsent = (field: TSchema): boolean => OptionalKind in field && !defaults.has(field);

const each = <P extends TProperties, Q>(fields: P, change: (field: TSchema) => TSchema): Q =>
  Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, change(field)])) as Q;
