import { createHmac } from 'node:crypto';

import type { Secrets } from '#libs/access/src/secrets/secrets.js';
import { randomText } from '#libs/kernel/src/ids.js';
import { timingSafeEqual } from '#libs/plugin-sdk/src/signatures.js';

/**
 * Tokens with which agents deliver the results of single executions. They follow from the execution and from a secret of
 * the organisation, so that a call that is repeated after a crash carries the same one, and nothing has to be kept.
 */
export class CallbackTokens {
  private readonly keys = new Map<string, Promise<string>>();

  constructor(private readonly secrets: Secrets) {}

  async of(orgId: string, executionId: string): Promise<string> {
    const key = await this.keyOf(orgId);
    return `mrc_${createHmac('sha256', key).update(executionId).digest('base64url')}`;
  }

  async isOf(orgId: string, executionId: string, token: string): Promise<boolean> {
    return timingSafeEqual(await this.of(orgId, executionId), token);
  }

  private keyOf(orgId: string): Promise<string> {
    const known = this.keys.get(orgId);
    if (known) return known;
    // The first caller stores it; every caller gets what is stored.
    const key = this.secrets.put(orgId, `${orgId}/agent-callbacks/1`, randomText(32));
    this.keys.set(orgId, key);
    key.catch(() => this.keys.delete(orgId));
    return key;
  }
}
