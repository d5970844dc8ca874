import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import type { Log } from '#libs/kernel/src/log.js';

import type { Receiver } from '../integration/integration.table.js';
import type { Refusal } from './refusal.js';

/** Strangers cause these lines: each integration has one a minute for each code. */
const EVERY_MS = 60_000;

/**
 * One line of the log for a request that is refused, with what an operator needs to find it. Requests to addresses where
 * nothing receives have none: anybody can send those.
 */
export class RefusalLog {
  private readonly lines = new BoundedMap<string, { readonly at: number; left: number }>(10_000);

  constructor(private readonly log: Log) {}

  refused(receiver: Receiver, refusal: Refusal, about: { requestId: string; sourceIp: string }, now: Date): void {
    const { code, status, cause } = refusal;
    const key = `${receiver.id} ${code}`;
    const at = now.getTime();
    const before = this.lines.get(key);
    if (before && Math.abs(at - before.at) < EVERY_MS) {
      before.left++;
      return;
    }
    this.lines.set(key, { at, left: 0 });
    const more = {
      ...(cause !== undefined && { cause }),
      ...(before && before.left > 0 && { alsoSince: before.left }),
    };
    this.log.warn(
      { ...about, integration: receiver.id, provider: receiver.provider, code, status, ...more },
      'a request was refused',
    );
  }
}
