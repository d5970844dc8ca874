import { isObject, type Json, type JsonObject, pointerToken } from '#libs/kernel/src/json.js';

import { SECRET_NAME } from './shapes/secret-shape.js';

const HIDDEN = '(hidden)';
/** Names of headers whose values let somebody in. */
const CREDENTIAL = /authorization|cookie|token|secret|password|credential|signature|api[-_]?key|[-_]key$|^key$/i;

/** The name of a secret, after a scheme or not, shows nothing of it. */
const SECRET_ALONE = new RegExp(`^(?:[A-Za-z]+ )?\\$\\{\\{ secrets\\.${SECRET_NAME} \\}\\}$`);

/** The input of a step without the values of headers that are credentials. */
export function withoutCredentials<T>(input: T): T {
  if (!isObject(input) || !isObject(input['headers'])) return input;
  const headers = Object.entries(input['headers']).map(([name, value]) => [
    name,
    CREDENTIAL.test(name) && !(typeof value === 'string' && SECRET_ALONE.test(value)) ? HIDDEN : value,
  ]);
  return { ...(input as object), headers: Object.fromEntries(headers) as object } as T;
}

/** `data` of an event that records the input of a step. */
export const shownInput = (data: JsonObject): JsonObject => ({
  ...data,
  input: withoutCredentials(data['input'] as Json),
});

/** How credentials of known senders begin, and keys that stand in a text whole. */
const KNOWN_CREDENTIAL =
  /\b(?:xox[abeprs]-[\w-]{10,}|xapp-[\w-]{10,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|sk-[\w-]{20,}|[sr]k_(?:live|test)_\w{10,}|whsec_[\w+/=-]{16,}|AKIA[0-9A-Z]{16}|AIza[\w-]{35}|SG\.[\w-]{16,}\.[\w-]{16,}|mr_[\w-]{43})|-----BEGIN [A-Z ]*PRIVATE KEY-----/;
/** `user:password@` in a URL. */
const IN_URL = /\b[a-z][a-z0-9+.-]*:\/\/[^\s/?#@:]*:(?!\$\{\{)[^\s/?#@]+@/i;
const isTemplate = (text: string): boolean => text.includes('${{');

export interface LiteralCredential {
  readonly pointer: string;
  /** Where it begins in the text at the pointer. */
  readonly offset: number;
  readonly detail: string;
}

/** Credentials that are written down in a value with templates, where everybody who may read it sees them. */
export function literalCredentials(value: unknown, pointer = ''): readonly LiteralCredential[] {
  if (typeof value === 'string') {
    const found = KNOWN_CREDENTIAL.exec(value) ?? IN_URL.exec(value);
    return found ? [warningAt(pointer, found.index, 'This looks like a credential.')] : [];
  }
  if (Array.isArray(value)) return value.flatMap((item, index) => literalCredentials(item, `${pointer}/${index}`));
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const at = `${pointer}/${pointerToken(key)}`;
    const headers = key === 'headers' && isObject(item) ? Object.entries(item) : [];
    const named = headers.flatMap(([name, text]) =>
      CREDENTIAL.test(name) && typeof text === 'string' && text !== '' && !isTemplate(text)
        ? [warningAt(`${at}/${pointerToken(name)}`, 0, `The header "${name}" has a credential.`)]
        : [],
    );
    const others = literalCredentials(item, at).filter((one) => !named.some((other) => other.pointer === one.pointer));
    return [...named, ...others];
  });
}

const warningAt = (pointer: string, offset: number, what: string): LiteralCredential => ({
  pointer,
  offset,
  detail: `${what} Everyone who may read this can read it. Set a secret (millrace secret set NAME) and write \${{ secrets.NAME }} instead.`,
});
