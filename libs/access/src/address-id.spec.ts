import { beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { streams } from '#libs/events/src/streams.js';
import { derivedId, uuid7, uuidOf } from '#libs/kernel/src/ids.js';

import { newAddressId } from './address-id.js';
import type { Caller } from './caller.js';
import { Secrets } from './secrets/secrets.js';

class KeptSecrets extends Secrets {
  readonly kept = new Map<string, string>();
  put(_: string, reference: string, plaintext: string): Promise<string> {
    if (!this.kept.has(reference)) this.kept.set(reference, plaintext);
    return Promise.resolve(this.kept.get(reference)!);
  }
  get(): Promise<ReadonlyMap<string, string>> {
    return Promise.resolve(this.kept);
  }
  remove(): Promise<void> {
    return Promise.resolve();
  }
}

const caller: Caller = { orgId: 'org_1', actor: 'token/tok_1', tokenId: 'tok_1', roles: ['integrator'] };
const keyed: Caller = { ...caller, idempotencyKey: 'key-1' };

let store: MemoryEventStore;
let secrets: KeptSecrets;
beforeEach(() => {
  store = new MemoryEventStore();
  secrets = new KeptSecrets();
});
const idFor = (by: Caller, kept = secrets) =>
  newAddressId(by, { prefix: 'int', stream: streams.integration, secrets: kept, store });

describe('an id that is an address', () => {
  it('is random without an Idempotency-Key', async () => {
    expect(await idFor(caller)).not.toBe(await idFor(caller));
    expect(secrets.kept.size).toBe(0);
  });

  it('is the same for the same key, and another for another key or organisation', async () => {
    const id = await idFor(keyed);
    expect(uuidOf('int', id)).toBeDefined();
    expect(await idFor({ ...keyed, tokenId: 'tok_2' })).toBe(id);
    const others = [
      { ...keyed, idempotencyKey: 'key-2' },
      { ...keyed, orgId: 'org_2' },
    ];
    for (const other of others) expect(await idFor(other)).not.toBe(id);
  });

  it('cannot be worked out from the key: another installation makes another of it', async () => {
    const id = await idFor(keyed);
    expect(id).not.toBe(derivedId('int', 'idempotency-key', 'org_1', 'key-1'));
    expect(id).not.toBe(await idFor(keyed, new KeptSecrets()));
  });

  it('is the one that an earlier version made for the key, where it did', async () => {
    const earlier = derivedId('int', 'idempotency-key', 'org_1', 'key-1');
    const data = { integrationId: earlier, provider: 'github', slug: 'wh_1', name: 'acme', config: {} };
    const event = newEvent({ type: 'integration.created', data }, { ...caller, id: uuid7(), now: new Date() });
    await store.append(streams.integration(earlier), [event], 'no-stream');
    expect(await idFor(keyed)).toBe(earlier);
    expect(await idFor({ ...keyed, idempotencyKey: 'key-2' })).not.toBe(
      derivedId('int', 'idempotency-key', 'org_1', 'key-2'),
    );
  });
});
