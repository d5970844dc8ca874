import { hash, randomBytes } from 'node:crypto';

import type { Secrets } from '#libs/access/src/secrets/secrets.js';
import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import { readLast } from '#libs/event-store/src/reading.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { uuid5 } from '#libs/kernel/src/ids.js';

import { type Signer, signerOf, type Verifier } from './tree/note.js';

const SEED_BYTES = 32;
const FIRST = 1;
const referenceOf = (key: number): string => `log/signing-key/${key}`;

/**
 * The keys that sign checkpoints: ed25519, numbered from 1, made once and encrypted as all secrets are. A tree is named
 * after the first of them, so that no two installations have trees of the same name.
 */
export class SigningKeys {
  private readonly seeds = new Map<number, Buffer>();

  constructor(
    private readonly store: EventStore,
    private readonly secrets: Secrets,
  ) {}

  /** The number of the key that signs now. */
  async current(): Promise<number> {
    const last = await readLast(this.store, streams.sealKeys());
    return last?.is('log.key_rotated') ? last.data.key : FIRST;
  }

  /** The first line of the checkpoints of a tree. */
  async origin(tree: string): Promise<string> {
    const first = signerOf(tree, await this.seed(FIRST)).verifier.publicKey.export({ format: 'der', type: 'spki' });
    return `millrace-${hash('sha256', first, 'buffer').subarray(0, 8).toString('hex')}/${tree}`;
  }

  async signer(key: number, tree: string): Promise<Signer> {
    return signerOf(await this.origin(tree), await this.seed(key));
  }

  /** Of all keys that ever signed, the newest first. */
  async verifiers(tree: string): Promise<readonly Verifier[]> {
    const numbers = Array.from({ length: await this.current() }, (_, n) => n + FIRST).reverse();
    return Promise.all(numbers.map(async (key) => (await this.signer(key, tree)).verifier));
  }

  /** @returns the number of the new key. Two rotations at the same time make one. */
  async rotate(actor: string, now: Date): Promise<number> {
    const key = (await this.current()) + 1;
    await this.seed(key);
    const id = uuid5('log.key_rotated', String(key));
    const event = newEvent(
      { type: 'log.key_rotated', data: { key } },
      { id, orgId: DEFAULT_ORG, actor, now, subject: 'log' },
    );
    await appendOnce(this.store, streams.sealKeys(), [event], key === FIRST + 1 ? 'no-stream' : BigInt(key - 3));
    return key;
  }

  private async seed(key: number): Promise<Buffer> {
    const known = this.seeds.get(key);
    if (known) return known;
    const reference = referenceOf(key);
    const stored =
      (await this.secrets.get([reference])).get(reference) ??
      (await this.secrets.put(DEFAULT_ORG, reference, randomBytes(SEED_BYTES).toString('base64')));
    const seed = Buffer.from(stored, 'base64');
    this.seeds.set(key, seed);
    return seed;
  }
}
