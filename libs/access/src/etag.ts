import { Rejected } from '#libs/kernel/src/errors.js';

/** The ETag of a thing whose stream is at this revision. */
export const etagOf = (revision: bigint | string): string => `"${revision}"`;

/**
 * The revision that `If-Match` names; `undefined` for none, and for `*`.
 * @throws Rejected `revision.changed` if it is not an ETag that was handed out.
 */
export function revisionOf(ifMatch: string | undefined): bigint | undefined {
  if (ifMatch === undefined || ifMatch === '' || ifMatch === '*') return undefined;
  const match = /^"(\d{1,18})"$/.exec(ifMatch.trim());
  if (match) return BigInt(match[1]!);
  throw new Rejected('conflict', 'revision.changed', 'If-Match must be the ETag of the last answer that you read.');
}
