import { describe, expect, it } from '@jest/globals';

import { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { RecentEvents } from './recent-events.js';

const event = (n: number, bytes = 100): RecordedEvent =>
  new RecordedEvent('inbound-1', BigInt(n), BigInt(n), uuid7(), 'git.push', new Date(0), ' '.repeat(bytes), '{}');

describe('recent events', () => {
  it('are found by their place in the log, without what others have parsed', () => {
    const recent = new RecentEvents();
    const added = event(1);
    recent.add(added);
    const found = recent.get('inbound-1', '1')!;
    expect(found).not.toBe(added);
    expect([found.id, found.dataJson]).toEqual([added.id, added.dataJson]);
    expect(recent.get('inbound-1', 2n)).toBeUndefined();
  });

  it('take a bounded number of bytes: the oldest go first', () => {
    const recent = new RecentEvents();
    const megabyte = 1024 * 1024;
    for (let n = 0; n < 40; n++) recent.add(event(n, megabyte));
    const kept = Array.from({ length: 40 }, (_, n) => n).filter((n) => recent.get('inbound-1', BigInt(n)));
    expect(kept).toEqual(Array.from({ length: kept.length }, (_, n) => 40 - kept.length + n));
    expect(kept).toHaveLength(3);
  });
});
