import { compile } from '#libs/expressions/src/compile.js';
import { ExpressionError } from '#libs/expressions/src/expression-error.js';
import { tryParseDuration } from '#libs/kernel/src/time/durations.js';
import type { Declaration, HmacScheme, PublicKeyScheme, Scheme } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';

import { publicKeyOf } from './proofs/public-key.js';
import { signedTemplate, type SignedTemplate, TemplateFault } from './request/signed-template.js';
import { SourceFault, sourcesOf } from './request/sources.js';

/** What is wrong with a declaration that has the right shape. Pointers begin at the declaration. */
export interface DeclarationProblem {
  readonly pointer: string;
  readonly detail: string;
}

type Note = (pointer: string, detail: string) => void;

/** Everything in a declaration that could not work, or would prove less than it seems to. */
export function declarationProblems({ verify, read, handshake, answer }: Declaration): readonly DeclarationProblem[] {
  const found: DeclarationProblem[] = [];
  const note: Note = (pointer, detail) => void found.push({ pointer, detail });
  checkScheme(verify, note);
  for (const name of ['eventType', 'deliveryId', 'occurredAt'] as const)
    checkSources(read?.[name], `/read/${name}`, note);
  const secretPlace = placeOfSecret(verify);
  for (const name of ['eventType', 'deliveryId', 'occurredAt'] as const)
    if (secretPlace !== undefined && [read?.[name] ?? []].flat().some((one) => isSamePlace(one, secretPlace)))
      note(`/read/${name}`, `Must not read ${secretPlace}, which holds the secret: events would show it.`);
  if (read?.each !== undefined) checkExpression(read.each, '/read/each', note);
  if (handshake?.kind === 'echo') {
    checkSources(handshake.from, '/handshake/from', note);
    for (const source of Object.keys(handshake.require ?? {}))
      checkSources(source, `/handshake/require/${source.replaceAll('~', '~0').replaceAll('/', '~1')}`, note);
  }
  if (answer?.status === 204 && answer.body !== undefined) note('/answer/body', 'Must be left out: 204 has no body.');
  if (answer?.contentType !== undefined && answer.body === undefined)
    note('/answer/contentType', 'Must be left out, or sent with body: it is the type of it.');
  return found;
}

/** Where a request has the secret itself, as a source; `undefined` where it only proves to know it. */
function placeOfSecret(scheme: Scheme): string | undefined {
  switch (scheme.kind) {
    case 'basic':
      return 'header:Authorization';
    case 'header':
      return `header:${scheme.header}`;
    case 'jwt':
      return `header:${scheme.header ?? 'Authorization'}`;
    case 'query':
      return `query:${scheme.parameter}`;
    case 'field':
      return scheme.field;
    default:
      return undefined;
  }
}

const isSamePlace = (source: string, place: string): boolean =>
  source === place || (place.startsWith('header:') && source.toLowerCase() === place.toLowerCase());

function checkScheme(scheme: Scheme, note: Note): void {
  switch (scheme.kind) {
    case 'hmac':
      return checkHmac(scheme, note);
    case 'ed25519':
    case 'ecdsa':
      if (!publicKeyOf(scheme.publicKey, scheme.kind))
        note(
          '/verify/publicKey',
          `Must be a public key of ${scheme.kind === 'ed25519' ? 'Ed25519' : 'the curve P-256'}.`,
        );
      checkSignature(scheme, note);
      return;
    case 'field':
      return checkExpression(scheme.field, '/verify/field', note);
    case 'jwt':
      if (scheme.algorithm === 'RS256' && scheme.keysUrl === undefined)
        note('/verify/keysUrl', '"keysUrl" is required for RS256: the URL of the JWK set of the sender.');
      if (scheme.algorithm === 'HS256' && scheme.keysUrl !== undefined)
        note('/verify/keysUrl', 'Must be left out: HS256 uses the secret.');
      if (scheme.bodyHash?.algorithm === 'sha1' && scheme.acceptWeak !== true) note('/verify/bodyHash/algorithm', WEAK);
      return checkDuration(scheme.maxAge, '/verify/maxAge', note);
    case 'basic':
      if (scheme.username.includes(':')) note('/verify/username', 'Must not contain ":".');
      return;
    default:
  }
}

function checkHmac(scheme: HmacScheme, note: Note): void {
  const { header, field, list, prefix, id } = scheme;
  if (header === undefined && field === undefined)
    note('/verify/header', '"header" is required, or "field" where the signature is in the body.');
  if (header !== undefined && field !== undefined)
    note('/verify/field', 'Must be left out: header says where the signature is.');
  if (field !== undefined) checkExpression(field, '/verify/field', note);
  if (list && header === undefined) note('/verify/list', 'Must be left out, or used with header.');
  if (list && prefix !== undefined) note('/verify/prefix', 'Must be left out: list says how the signature begins.');
  const template = checkSignature(scheme, note);
  if (!template) return;
  if (id && !template.names.has('id')) note('/verify/id', 'Must be signed: put {id} into signed, or leave it out.');
  if (!id && template.names.has('id')) note('/verify/signed', '{id} needs the setting id: { header }.');
  if (scheme.acceptWeak === true) return;
  if (scheme.algorithm === 'sha1') note('/verify/algorithm', WEAK);
  if (scheme.bodyHash) checkBodyHash(scheme.bodyHash, scheme.signed ?? '{body}', note);
  if (!template.coversBody && !scheme.bodyHash)
    note(
      '/verify/signed',
      'The body is not signed. Sign {body} or {form}, or set acceptWeak: true if the sender offers nothing else.',
    );
}

/** A hash that anybody may change together with the body proves nothing. */
function checkBodyHash({ from, algorithm }: NonNullable<HmacScheme['bodyHash']>, signed: string, note: Note): void {
  if (algorithm === 'sha1') note('/verify/bodyHash/algorithm', WEAK);
  const [place, name = ''] = from.toLowerCase().split(/:(.*)/s);
  const covering =
    place === 'query'
      ? ['{url}', '{query}', '{body}', '{form}']
      : [`{header:${name}}`, '{headers:', '{body}', '{form}'];
  if (!covering.some((one) => signed.toLowerCase().includes(one)))
    note(
      '/verify/bodyHash/from',
      `Must be signed: put ${covering[0]!} into signed, or set acceptWeak: true if the sender offers nothing else.`,
    );
}

function checkSignature(scheme: HmacScheme | PublicKeyScheme, note: Note): SignedTemplate | undefined {
  const { timestamp } = scheme;
  const list = 'list' in scheme ? scheme.list : undefined;
  const isTimed = timestamp !== undefined || list?.timestamp !== undefined;
  if (timestamp) {
    const places = [timestamp.header, timestamp.field, list?.timestamp].filter((one) => one !== undefined).length;
    if (places === 0) note('/verify/timestamp/header', '"header" or "field" is required: where to find the time.');
    if (places > 1) note('/verify/timestamp', 'Must name one place: header, field, or the timestamp of list.');
    if (timestamp.field !== undefined) checkExpression(timestamp.field, '/verify/timestamp/field', note);
    if (timestamp.tolerance !== 'none') checkDuration(timestamp.tolerance, '/verify/timestamp/tolerance', note);
    else if (scheme.acceptWeak !== true)
      note(
        '/verify/timestamp/tolerance',
        'none accepts old requests without a limit. Set a duration, or acceptWeak: true.',
      );
  }
  const template = templateOf(scheme.signed ?? '{body}', note);
  if (!template) return undefined;
  const { names } = template;
  if (!isTimed && names.has('timestamp'))
    note('/verify/signed', '{timestamp} needs the setting timestamp, or the timestamp of list.');
  const isSigned =
    names.has('timestamp') ||
    (timestamp?.field !== undefined && (names.has('body') || names.has('json'))) ||
    (timestamp?.header !== undefined &&
      (names.has('headers') ||
        (scheme.signed ?? '').toLowerCase().includes(`{header:${timestamp.header.toLowerCase()}}`)));
  if (isTimed && !isSigned)
    note(
      '/verify/signed',
      'The time is not signed, so it proves nothing. Put {timestamp} into signed, or leave timestamp out.',
    );
  if (scheme.kind !== 'hmac' && !template.coversBody && scheme.acceptWeak !== true)
    note(
      '/verify/signed',
      'The body is not signed. Sign {body}, or set acceptWeak: true if the sender offers nothing else.',
    );
  return template;
}

function templateOf(signed: string, note: Note): SignedTemplate | undefined {
  try {
    return signedTemplate(signed);
  } catch (error) {
    if (!(error instanceof TemplateFault) && !(error instanceof ExpressionError)) throw error;
    note('/verify/signed', `Must be a template of what is signed: ${error.message}.`.replace(/\.\.$/, '.'));
    return undefined;
  }
}

function checkSources(sources: Parameters<typeof sourcesOf>[0], pointer: string, note: Note): void {
  const all = Array.isArray(sources) ? sources : undefined;
  for (const [index, source] of (all ?? (sources === undefined ? [] : [sources as string])).entries())
    try {
      sourcesOf(source);
    } catch (error) {
      if (!(error instanceof SourceFault) && !(error instanceof ExpressionError)) throw error;
      const detail = error instanceof SourceFault ? `A source ${error.message}.` : inWords(error);
      note(all ? `${pointer}/${index}` : pointer, detail);
    }
}

function checkExpression(expression: string, pointer: string, note: Note): void {
  try {
    compile(expression);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    note(pointer, inWords(error));
  }
}

const WEAK = 'sha1 is weak. Use sha256, or set acceptWeak: true if the sender offers nothing else.';

const inWords = (error: ExpressionError): string => `Must be JMESPath: ${error.message}`;

const [LEAST_MS, MOST_MS] = [30_000, 3_600_000];

export function checkDuration(duration: string | undefined, pointer: string, note: Note): void {
  if (duration === undefined) return;
  const ms = tryParseDuration(duration);
  if (ms === undefined || ms < LEAST_MS || ms > MOST_MS)
    note(pointer, 'Must be a duration from 30s to 1h, such as 5m.');
}
