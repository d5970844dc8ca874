import { inGrace } from '#libs/access/src/secrets/secret-rotation.js';
import type { Secrets } from '#libs/access/src/secrets/secrets.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import { parseJson } from '#libs/kernel/src/text/exact-json.js';

import type { KnownWebhook } from '../webhook/webhook.table.js';

const MAX_KEPT = 10_000;

/** What a webhook's deliveries are signed with and carry, in plain text. */
export interface WebhookCredentials {
  /** In force at the time, the newest first. */
  readonly secrets: readonly string[];
  /** The receiver's own headers. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Plain text of secrets by reference, fetched when a webhook is first sent something and kept: what a reference stands
 * for never changes.
 */
export class CredentialCache {
  private readonly kept = new BoundedMap<string, string>(MAX_KEPT);

  constructor(private readonly secrets: Secrets) {}

  async of({ secret, previous, settings }: KnownWebhook, now: Date): Promise<WebhookCredentials> {
    const references = [secret, ...inGrace(previous, now).map((one) => one.secret)];
    const headers = settings.headers?.values;
    const texts = await this.fetch(headers === undefined ? references : [...references, headers]);
    return {
      secrets: references.flatMap((reference) => texts.get(reference) ?? []),
      headers: parseJson((headers !== undefined && texts.get(headers)) || '{}') as Record<string, string>,
    };
  }

  private async fetch(references: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const missing = references.filter((reference) => !this.kept.has(reference));
    const fetched = missing.length === 0 ? new Map<string, string>() : await this.secrets.get(missing);
    for (const [reference, text] of fetched) this.kept.set(reference, text);
    return new Map(
      references.flatMap((reference) => {
        const text = fetched.get(reference) ?? this.kept.get(reference);
        return text === undefined ? [] : [[reference, text] as const];
      }),
    );
  }
}
