import { createHash } from 'node:crypto';

import { canonicalJson } from '#libs/kernel/src/json.js';

/** What makes two requests the same one: everything but the time and the token, which are held beside it. */
export const fingerprint = (method: string, url: string, body: unknown): string =>
  createHash('sha256').update(`${method} ${url}\n`).update(canonicalJson(body)).digest('hex');

/** An answer as it was sent. */
export interface StoredAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** Headers of an answer that belong to what was made, not to the connection. */
export const KEPT_HEADERS = ['location', 'etag'] as const;
