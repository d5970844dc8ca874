import type { SignatureScheme } from './signature.js';

/** What a scheme wants, in one phrase: `Stripe-Signature: t=…,v1=hex of HMAC-SHA256 over {timestamp}.{body}`. */
export function signatureWanted(scheme: SignatureScheme, algorithm: string): string {
  const { header, field, encoding = 'hex', prefix = '', list, signed = '{body}', timestamp, bodyHash } = scheme;
  const { separator = ',', assign = '=' } = list ?? {};
  const time = list?.timestamp === undefined ? '' : `${list.timestamp}${assign}…${separator}`;
  const begins = list ? `${time}${list.signature}${assign}` : prefix;
  const place = header === undefined ? `the field ${field!} of the body:` : `${header}:`;
  const wanted = `${place} ${begins}${encoding} of ${algorithm} over ${signed}`;
  const more = [
    timestamp?.header !== undefined && `the time in ${timestamp.header}`,
    timestamp?.field !== undefined && `the time in the field ${timestamp.field} of the body`,
    bodyHash && `the hash of the body in ${bodyHash.from}`,
  ].filter((one) => one !== false && one !== undefined);
  return more.length === 0 ? wanted : `${wanted}; ${more.join('; ')}`;
}
