import { timingSafeEqual } from 'node:crypto';

import { isObject, type Json } from '#libs/kernel/src/json.js';
import { parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { Keyring } from './keyring.js';

/** What a link is for: everything that it allows. */
export type Claims = Readonly<Record<string, Json>>;

const PURPOSE = 'signed link';

/**
 * Links that allow one thing without a token: what they are for is in them, under an HMAC-SHA256 with a key that follows
 * from the first key of this installation. Whether a link was used, or comes too late, is for the reader to find out.
 */
export class SignedLinks {
  /** @param publicUrl without a trailing slash. */
  constructor(
    private readonly keyring: Pick<Keyring, 'macs'>,
    private readonly publicUrl: string,
  ) {}

  /** `<public URL>/links/<claims>.<signature>`, both in base64url. */
  url(claims: Claims): string {
    const said = Buffer.from(stringifyJson(claims)).toString('base64url');
    return `${this.publicUrl}/links/${said}.${this.keyring.macs(PURPOSE, said)[0]!.toString('base64url')}`;
  }

  /** The claims of what follows `/links/`; `undefined` unless this installation signed it. In constant time. */
  read(link: string): Claims | undefined {
    const [said = '', signature = '', ...more] = link.split('.');
    const given = Buffer.from(signature, 'base64url');
    // Base64 has several spellings of the same bytes. One of them is a link.
    if (more.length > 0 || given.toString('base64url') !== signature) return undefined;
    const isOurs = this.keyring
      .macs(PURPOSE, said)
      .map((mac) => mac.length === given.length && timingSafeEqual(mac, given))
      .includes(true);
    if (!isOurs) return undefined;
    const claims = parseJson(Buffer.from(said, 'base64url').toString());
    return isObject(claims) ? (claims as Claims) : undefined;
  }
}
