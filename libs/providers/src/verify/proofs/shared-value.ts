import { holdsSecret, timingSafeEqual } from '#libs/plugin-sdk/src/signatures.js';
import type { DeclaredScheme } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';
import { listOf } from '#libs/plugin-sdk/src/fields.js';

import { decode } from '../request/encodings.js';
import { type Finding, malformed, mismatch, missing, type Proof, proved } from './proof.js';
import { withField } from '../request/rewritten-body.js';
import { look, textOfValue } from '../request/views.js';

type Kind<K extends DeclaredScheme['kind']> = Extract<DeclaredScheme, { kind: K }>;

/** Any of the secrets, in constant time over all of them; an empty one is never held. */
const isAnyOf = (given: string, secrets: readonly string[]): boolean => {
  let matches = false;
  for (const secret of secrets) matches = (timingSafeEqual(given, secret) && secret !== '') || matches;
  return matches;
};
const found = (isRight: boolean, authentication: string, failed: 'header' | 'signature' | 'field'): Finding =>
  isRight ? proved(authentication) : mismatch(failed);

const BASIC = /^basic +([A-Za-z0-9+/=_-]+) *$/i;

export const basicProof = ({ username }: Kind<'basic'>): Proof => ({
  wants: `Authorization: Basic with the user name ${username} and the secret as the password`,
  needsSecret: true,
  headers: ['authorization'],
  verify(view, _, { secrets }) {
    const header = view.header('authorization');
    if (header === undefined) return missing();
    const encoded = BASIC.exec(header)?.[1];
    const bytes = encoded === undefined ? undefined : decode(encoded, 'base64');
    if (!bytes?.includes(0x3a)) return malformed('header');
    const pairs = secrets.filter((secret) => secret !== '').map((secret) => `${username}:${secret}`);
    return found(holdsSecret(bytes.toString('latin1'), pairs), 'basic', 'header');
  },
  sign: (_view, _values, { key }) => ({
    headers: { authorization: `Basic ${Buffer.from(`${username}:${key}`).toString('base64')}` },
  }),
});

export const headerProof = ({ header, prefix = '' }: Kind<'header'>): Proof => ({
  wants: prefix === '' ? `${header}: the secret` : `${header}: ${prefix.trim()} and the secret`,
  needsSecret: true,
  headers: [header.toLowerCase()],
  verify(view, _, { secrets }) {
    const given = view.header(header);
    if (given === undefined || given === '') return missing();
    if (given.slice(0, prefix.length).toLowerCase() !== prefix.toLowerCase()) return malformed('header');
    return found(holdsSecret(given.slice(prefix.length).trim(), secrets), 'header', 'header');
  },
  sign: (_view, _values, { key }) => ({ headers: { [header.toLowerCase()]: prefix + key } }),
});

export const queryProof = ({ parameter }: Kind<'query'>): Proof => ({
  wants: `the secret in the parameter "${parameter}" of the URL, once`,
  needsSecret: true,
  headers: [],
  verify(view, _, { secrets }) {
    const given = view.parameters(parameter);
    if (given.length === 0 || given[0] === '') return missing('signature');
    if (given.length > 1) return malformed();
    return found(isAnyOf(given[0]!, secrets), 'query', 'signature');
  },
  sign(view, _values, { key }) {
    const url = new URL(view.request.target ?? '/', 'http://localhost');
    url.searchParams.set(parameter, key);
    return { target: url.pathname + url.search };
  },
});

export const fieldProof = ({ field }: Kind<'field'>): Proof => ({
  wants: `the secret in the field ${field} of the body`,
  needsSecret: true,
  headers: [],
  verify(_, values, { secrets }) {
    const all = values();
    let isRight = true;
    for (const value of all) {
      const given = look(field, value);
      const texts = Array.isArray(given) ? listOf(given) : [given];
      if (texts.length === 0 || texts.every((one) => one === null)) return missing('field');
      for (const one of texts) {
        const text = typeof one === 'string' ? one : textOfValue(one);
        isRight = isAnyOf(text ?? '', secrets) && isRight;
      }
    }
    return found(isRight, 'field', 'field');
  },
  sign(view, values, { key }) {
    const edit = withField(view, values);
    edit.set(field, () => key);
    return { rawBody: edit.bytes() };
  },
});

export const addressAlone: Proof = {
  wants: 'nothing: the address alone authenticates',
  needsSecret: false,
  headers: [],
  secretProblem: () => 'Must be left out: with "none" the address alone authenticates.',
  verify: () => proved('slug'),
  sign: () => ({}),
};
