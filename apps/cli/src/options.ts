import { readFileSync } from 'node:fs';

import type { JsonObject } from '#libs/kernel/src/json.js';
import { parseAsWritten } from '#libs/kernel/src/text/exact-json.js';
import { type HttpFile, HttpFileError, parseHttpFile } from '#libs/plugin-sdk/src/http-file.js';

import { UsageError } from './failures.js';

/** What several commands take: values that are given more than once, secrets, settings, saved requests. */

export const several = (value: string, before: readonly string[] | undefined): readonly string[] => [
  ...(before ?? []),
  value,
];

export function httpFileAt(path: string): HttpFile {
  try {
    return parseHttpFile(readFileSync(path));
  } catch (error) {
    if (error instanceof HttpFileError) throw new UsageError(`${path}:${error.line}: ${error.detail}`);
    throw new UsageError(`${path} cannot be read: ${(error as Error).message}`);
  }
}

/** `-` reads a line from the standard input; left out, it is MILLRACE_SECRET; `undefined` where there is none. */
export function secretIn(given: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  const secret = given === '-' ? readFileSync(0, 'utf8').split(/\r?\n/, 1)[0]! : (given ?? env['MILLRACE_SECRET']);
  return secret === '' ? undefined : secret;
}

/** The flag of an option: `error-code` of `errorCode`. */
export const dashed = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** A whole number above 0; `undefined` where the option is left out. */
export function wholeNumber(option: string, given: string | readonly string[] | true | undefined): number | undefined {
  if (given === undefined) return undefined;
  const number = Number(given);
  if (Number.isInteger(number) && number >= 1) return number;
  throw new UsageError(`${option} must be a whole number above 0, not "${String(given)}".`);
}

/** `bearer=true`, of the option `--config`: a value that is JSON is that, any other a text. */
export function pairsOf(option: string, pairs: unknown): JsonObject {
  return Object.fromEntries(splitPairs(option, pairs).map(([key, value]) => [key, jsonOr(value) as never]));
}

const splitPairs = (option: string, pairs: unknown): readonly (readonly [string, string])[] =>
  ((pairs ?? []) as readonly string[]).map((pair) => {
    const equals = pair.indexOf('=');
    if (equals < 1) throw new UsageError(`${option} must be key=value, not "${pair}".`);
    return [pair.slice(0, equals), pair.slice(equals + 1)];
  });

/** The same where every value is a text. */
export const textsOf = (option: string, pairs: unknown): Record<string, string> =>
  Object.fromEntries(splitPairs(option, pairs));

/** A text that is JSON as its value, any other as it is. */
export function jsonOr(text: string): unknown {
  try {
    return parseAsWritten(text);
  } catch {
    return text;
  }
}
