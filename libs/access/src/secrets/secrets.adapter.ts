import type { DataSource } from 'typeorm';

import { Rejected } from '#libs/kernel/src/errors.js';

import { type Keyring, KeyMissing, type Sealed } from './keyring.js';
import { Secrets } from './secrets.js';

interface Row {
  readonly reference: string;
  readonly org_id: string;
  readonly key_id: string;
  readonly sealed: Buffer;
}

const PAGE = 500;

/** Secrets in PostgreSQL, each encrypted with its reference and organisation as associated data. */
export class PostgresSecrets extends Secrets {
  constructor(
    private readonly database: DataSource,
    private readonly keyring: Keyring,
  ) {
    super();
  }

  async put(orgId: string, reference: string, plaintext: string): Promise<string> {
    const sealed = this.keyring.seal(plaintext, [reference, orgId]);
    const inserted = await this.database.query<unknown[]>(
      `INSERT INTO views.secrets (reference, org_id, key_id, sealed) VALUES ($1, $2, $3, $4)
       ON CONFLICT (reference) DO NOTHING RETURNING reference`,
      [reference, orgId, sealed.keyId, sealed.bytes],
    );
    if (inserted.length > 0) return plaintext;
    const stored = (await this.get([reference])).get(reference);
    // Removed between the two statements: the text that was to be stored is not, so try once more.
    return stored ?? this.put(orgId, reference, plaintext);
  }

  async get(references: readonly string[]): Promise<ReadonlyMap<string, string>> {
    if (references.length === 0) return new Map();
    const rows = await this.database.query<Row[]>(
      'SELECT reference, org_id, key_id, sealed FROM views.secrets WHERE reference = ANY($1)',
      [references],
    );
    return new Map(rows.map((row) => [row.reference, this.open(row)]));
  }

  async remove(references: readonly string[]): Promise<void> {
    if (references.length === 0) return;
    await this.database.query('DELETE FROM views.secrets WHERE reference = ANY($1)', [references]);
  }

  /**
   * Brings every row under the first key, so that the others can be removed from the configuration.
   * @returns how many rows were encrypted again.
   * @throws Rejected `secrets.key_missing`, naming a row that no key opens: the server must not start without its secrets.
   */
  async rotate(): Promise<number> {
    const [lost] = await this.database.query<{ key_id: string; count: string; reference: string }[]>(
      `SELECT key_id, count(*) AS count, min(reference) AS reference FROM views.secrets
       WHERE NOT key_id = ANY($1) GROUP BY key_id ORDER BY key_id LIMIT 1`,
      [this.keyring.ids],
    );
    if (lost)
      throw new Rejected(
        'conflict',
        'secrets.key_missing',
        `${lost.count} stored secret(s), ${lost.reference} among them, are encrypted under key ${lost.key_id}, which is ` +
          `not configured (configured: ${this.keyring.ids.join(', ')}). Put the old key behind the new one: ` +
          'MILLRACE_SECRET_KEY=<new key>,<old key>. Remove it after the next start.',
      );
    let moved = 0;
    for (;;) {
      const rows = await this.database.query<Row[]>(
        `SELECT reference, org_id, key_id, sealed FROM views.secrets WHERE key_id <> $1 LIMIT ${PAGE}`,
        [this.keyring.currentId],
      );
      if (rows.length === 0) return moved;
      for (const row of rows) {
        const next = this.keyring.seal(this.open(row), [row.reference, row.org_id]);
        // Only if nobody else has: another process may be starting with the same new key.
        await this.database.query(
          'UPDATE views.secrets SET key_id = $3, sealed = $4 WHERE reference = $1 AND key_id = $2',
          [row.reference, row.key_id, next.keyId, next.bytes],
        );
        moved++;
      }
    }
  }

  private open(row: Row): string {
    const sealed: Sealed = { keyId: row.key_id, bytes: row.sealed };
    try {
      return this.keyring.open(sealed, [row.reference, row.org_id]);
    } catch (error) {
      if (!(error instanceof KeyMissing)) throw error;
      throw new Error(
        `The secret ${row.reference} is ${error.message}. Put that key behind the first in MILLRACE_SECRET_KEY and restart.`,
        { cause: error },
      );
    }
  }
}
