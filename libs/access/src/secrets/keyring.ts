import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';

/** One key and the name under which stored rows remember it; the name tells nothing about the key. */
interface Key {
  readonly id: string;
  readonly bytes: Buffer;
}

/** A text under a key. `bytes`: 12 of nonce, 16 of tag, then the ciphertext. */
export interface Sealed {
  readonly keyId: string;
  readonly bytes: Buffer;
}

const NONCE = 12;
const TAG = 16;

/** The stored text was encrypted under a key that is not in the ring. */
export class KeyMissing extends Error {
  override readonly name = 'KeyMissing';
  constructor(readonly keyId: string) {
    super(`encrypted under key ${keyId}, which is not among the configured ones`);
  }
}

/** The stored text, its place or its owner was changed after it was encrypted. */
export class SealBroken extends Error {
  override readonly name = 'SealBroken';
}

/**
 * AES-256-GCM under several keys: the first encrypts, all decrypt, so that a key is changed by putting a new one in
 * front. What a text belongs to is authenticated with it: a row copied to another reference or organisation does not open.
 */
export class Keyring {
  private readonly keys: readonly [Key, ...Key[]];

  /** @param keys 32 bytes each. */
  constructor(keys: readonly [Buffer, ...Buffer[]]) {
    this.keys = keys.map((bytes) => {
      if (bytes.length !== 32) throw new RangeError(`a key has ${bytes.length} bytes; it must have 32`);
      return { id: idOf(bytes), bytes };
    }) as unknown as readonly [Key, ...Key[]];
  }

  /** Of the key that encrypts. */
  get currentId(): string {
    return this.keys[0].id;
  }

  get ids(): readonly string[] {
    return this.keys.map(({ id }) => id);
  }

  seal(plaintext: string, belongsTo: readonly string[]): Sealed {
    const { id, bytes } = this.keys[0];
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv('aes-256-gcm', bytes, nonce, { authTagLength: TAG });
    cipher.setAAD(associated(belongsTo));
    const text = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
    return { keyId: id, bytes: Buffer.concat([nonce, cipher.getAuthTag(), text]) };
  }

  /** @throws KeyMissing or SealBroken. */
  open({ keyId, bytes }: Sealed, belongsTo: readonly string[]): string {
    const key = this.keys.find(({ id }) => id === keyId);
    if (!key) throw new KeyMissing(keyId);
    try {
      const decipher = createDecipheriv('aes-256-gcm', key.bytes, bytes.subarray(0, NONCE), { authTagLength: TAG });
      decipher.setAAD(associated(belongsTo));
      decipher.setAuthTag(bytes.subarray(NONCE, NONCE + TAG));
      return Buffer.concat([decipher.update(bytes.subarray(NONCE + TAG)), decipher.final()]).toString('utf8');
    } catch (cause) {
      throw new SealBroken(`the text of ${belongsTo.join(' ')} cannot be decrypted: the stored value was changed`, {
        cause,
      });
    }
  }

  /** HMAC-SHA256 of a text under a key for this purpose, for each key of the ring: the first signs, any verifies. */
  macs(purpose: string, text: string): readonly Buffer[] {
    return this.keys.map(({ bytes }) => {
      const key = createHmac('sha256', bytes).update(`millrace ${purpose}`).digest();
      return createHmac('sha256', key).update(text).digest();
    });
  }
}

const idOf = (bytes: Buffer): string =>
  createHash('sha256').update('millrace key id').update(bytes).digest('hex').slice(0, 12);

/** Length-prefixed, so that no two lists of parts give the same bytes. */
const associated = (parts: readonly string[]): Buffer =>
  Buffer.from(parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join(''), 'utf8');
