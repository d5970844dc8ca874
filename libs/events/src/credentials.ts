import { isObject, type Json, type JsonObject } from '#libs/kernel/src/json.js';

const HIDDEN = '(hidden)';
/** Names of headers whose values let somebody in. */
const CREDENTIAL = /authorization|cookie|token|secret|password|credential|signature|api[-_]?key|[-_]key$|^key$/i;

/** The input of a step without the values of headers that are credentials. */
export function withoutCredentials<T>(input: T): T {
  if (!isObject(input) || !isObject(input['headers'])) return input;
  const headers = Object.entries(input['headers']).map(([name, value]) => [
    name,
    CREDENTIAL.test(name) ? HIDDEN : value,
  ]);
  return { ...(input as object), headers: Object.fromEntries(headers) as object } as T;
}

/** `data` of an event that records the input of a step. */
export const shownInput = (data: JsonObject): JsonObject => ({
  ...data,
  input: withoutCredentials(data['input'] as Json),
});
