import { missingFrom } from '#libs/event-store/src/subscriber.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import type { KnownToken, TokenTable } from './token.table.js';

const BEARER = /^Bearer +(\S+) *$/i;

/**
 * Who sends these headers. Asks memory only.
 * @throws Rejected `token.missing`, `token.unknown`, `token.expired`
 * @throws Transient `table.incomplete`
 */
export function authenticate(
  { authorization }: { readonly authorization?: string | string[] | undefined },
  tokens: TokenTable,
  now: Date,
): KnownToken {
  const text = typeof authorization === 'string' ? BEARER.exec(authorization)?.[1] : undefined;
  if (text === undefined)
    throw unauthenticated(
      'token.missing',
      'Send an API token: "Authorization: Bearer mr_…". An admin creates one with POST /api/v1/tokens.',
    );
  const token = tokens.find(text);
  if (!token)
    throw missingFrom(
      tokens,
      unauthenticated(
        'token.unknown',
        'This API token is invalid: it has a typo, was revoked, or belongs to another server.',
      ),
    );
  if (token.expiresAt && token.expiresAt <= now)
    throw unauthenticated(
      'token.expired',
      `This API token expired at ${token.expiresAt.toISOString()}. An admin creates a new one with POST /api/v1/tokens.`,
    );
  return token;
}

const unauthenticated = (code: string, message: string): Rejected => new Rejected('unauthenticated', code, message);
