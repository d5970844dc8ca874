import type { DataSource } from 'typeorm';

import { messageOf } from '#libs/kernel/src/errors.js';
import { parseAsWritten, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { StoredAnswer } from './idempotency.js';
import { type Keyring, KeyMissing, SealBroken } from '../secrets/keyring.js';

/** Which request, by whom. */
export interface KeyedRequest {
  readonly orgId: string;
  readonly tokenId: string;
  readonly key: string;
  /** Of method, URL and body. */
  readonly fingerprint: string;
}

export type Claim =
  /** Nobody has done it: do it, then `complete` or `abandon`. */
  | { readonly kind: 'first' }
  | { readonly kind: 'answered'; readonly answer: StoredAnswer }
  /** The key stands for another request, or for one of another token. */
  | { readonly kind: 'reused' }
  /** It is being done at this moment. */
  | { readonly kind: 'busy' };

interface Row {
  readonly token_id: string;
  readonly fingerprint: string;
  readonly key_id: string | null;
  readonly answer: Buffer | null;
}

const PURGE_EVERY = 200;

/**
 * Answers to requests with an `Idempotency-Key`, kept for 24 hours in PostgreSQL. Encrypted, since an answer may hold a
 * secret that is shown once. A process that dies in mid-request leaves its claim for a minute at most; the repeated
 * request meets the same ids, since these follow from the key.
 */
export class IdempotencyStore {
  private untilPurge = 0;

  constructor(
    private readonly database: DataSource,
    private readonly keyring: Keyring,
  ) {}

  async claim({ orgId, tokenId, key, fingerprint }: KeyedRequest): Promise<Claim> {
    await this.purge();
    const claimed = await this.database.query<unknown[]>(
      `INSERT INTO views.idempotency AS i (org_id, key, token_id, fingerprint, claimed_until, expires_at)
       VALUES ($1, $2, $3, $4, now() + interval '60 seconds', now() + interval '24 hours')
       ON CONFLICT (org_id, key) DO UPDATE SET token_id = $3, fingerprint = $4, key_id = NULL, answer = NULL,
         claimed_until = excluded.claimed_until, expires_at = excluded.expires_at
       WHERE i.expires_at < now()
          OR (i.answer IS NULL AND i.claimed_until < now() AND i.fingerprint = $4 AND i.token_id = $3)
       RETURNING 1 AS one`,
      [orgId, key, tokenId, fingerprint],
    );
    if (claimed.length > 0) return { kind: 'first' };
    const [row] = await this.database.query<Row[]>(
      'SELECT token_id, fingerprint, key_id, answer FROM views.idempotency WHERE org_id = $1 AND key = $2',
      [orgId, key],
    );
    // Abandoned between the two statements.
    if (!row) return { kind: 'busy' };
    if (row.fingerprint !== fingerprint || row.token_id !== tokenId) return { kind: 'reused' };
    if (row.answer === null || row.key_id === null) return { kind: 'busy' };
    const answer = this.open({ keyId: row.key_id, bytes: row.answer }, orgId, key);
    return answer ? { kind: 'answered', answer } : { kind: 'first' };
  }

  async complete({ orgId, key }: KeyedRequest, answer: StoredAnswer): Promise<void> {
    const sealed = this.keyring.seal(stringifyJson(answer), ['idempotency', orgId, key]);
    await this.database.query('UPDATE views.idempotency SET key_id = $3, answer = $4 WHERE org_id = $1 AND key = $2', [
      orgId,
      key,
      sealed.keyId,
      sealed.bytes,
    ]);
  }

  /** The request was refused or failed: the key is free again. */
  async abandon({ orgId, key }: KeyedRequest): Promise<void> {
    await this.database.query('DELETE FROM views.idempotency WHERE org_id = $1 AND key = $2 AND answer IS NULL', [
      orgId,
      key,
    ]);
  }

  private open(sealed: { keyId: string; bytes: Buffer }, orgId: string, key: string): StoredAnswer | undefined {
    try {
      return parseAsWritten(this.keyring.open(sealed, ['idempotency', orgId, key])) as StoredAnswer;
    } catch (error) {
      // Its key is gone from the configuration. The request is done again, and meets the things it made.
      if (error instanceof KeyMissing) return undefined;
      if (error instanceof SealBroken) throw new Error(messageOf(error), { cause: error });
      throw error;
    }
  }

  private async purge(): Promise<void> {
    if (this.untilPurge-- > 0) return;
    this.untilPurge = PURGE_EVERY;
    await this.database.query('DELETE FROM views.idempotency WHERE expires_at < now()');
  }
}
