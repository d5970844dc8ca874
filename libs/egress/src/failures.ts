import { isObject } from '#libs/kernel/src/json.js';

import type { FailureClass } from './egress.js';

type Failure = Exclude<FailureClass, 'status'>;

/** Errors of X.509 verification, as OpenSSL names them and Node passes them on. */
const CERTIFICATE = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_CRL',
  'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
  'UNABLE_TO_DECRYPT_CRL_SIGNATURE',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'EPROTO',
]);

/** Prefixes of the codes of one class. */
const PREFIXES: readonly (readonly [string, Failure])[] = [
  ['ERR_TLS_', 'tls'],
  ['ERR_SSL_', 'tls'],
  ['CERT_', 'tls'],
  ['CRL_', 'tls'],
  ['EAI_', 'dns'],
];

const CODES: Readonly<Record<string, Failure>> = {
  ENOTFOUND: 'dns',
  ENODATA: 'dns',
  ESERVFAIL: 'dns',
  EBADNAME: 'dns',
  ETIMEDOUT: 'timeout',
};

/** The class of a failed call by its error code, wherever in the chain of causes the code is. Never by the message. */
export function failureOf(error: unknown): { readonly failureClass: Failure; readonly code: string } {
  const code = codeOf(error) ?? 'UNKNOWN';
  if (CERTIFICATE.has(code)) return { failureClass: 'tls', code };
  const prefix = PREFIXES.find(([start]) => code.startsWith(start));
  return { failureClass: prefix?.[1] ?? CODES[code] ?? 'connect', code };
}

function codeOf(error: unknown): string | undefined {
  // By its shape: an error of another realm, such as a VM context, is no instance of our Error.
  for (let current = error; isObject(current); current = current['cause'])
    if (typeof current['code'] === 'string') return current['code'];
  return undefined;
}

const WORDS: Readonly<Record<Failure, string>> = {
  timeout: 'the connection timed out',
  dns: 'the name could not be resolved',
  connect: 'the connection failed or was cut off',
  tls: 'the TLS connection is not trusted',
  refused_address: 'the address is refused',
  redirect: 'it redirects',
  body_too_large: 'the answer is too large',
};

/** A sentence for a person. It names the code, never the message, which may hold what a caller sent. */
export const describeFailure = (failureClass: Failure, code: string): string => `${WORDS[failureClass]} (${code})`;
