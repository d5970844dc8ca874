import { createHash } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { anyCharacter } from '#libs/kernel/testing/any-character.js';

import { parseKey } from './key-file.js';
import { Keyring, KeyMissing, SealBroken } from './keyring.js';

const key = (name: string): Buffer => createHash('sha256').update(name).digest();
const PLACE = ['sec_1', 'org_a'];

describe('a keyring', () => {
  it('opens what it has sealed, whatever the text', () => {
    const ring = new Keyring([key('a')]);
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), fc.array(fc.string(), { maxLength: 4 }), (text, place) => {
        const written = Buffer.from(text, 'utf8').toString('utf8');
        expect(ring.open(ring.seal(written, place), place)).toBe(written);
      }),
    );
  });

  it('never seals twice to the same bytes, so that equal secrets do not show', () => {
    const ring = new Keyring([key('a')]);
    expect(ring.seal('secret', PLACE).bytes.equals(ring.seal('secret', PLACE).bytes)).toBe(false);
  });

  it('does not open a text with any bit changed', () => {
    const ring = new Keyring([key('a')]);
    const { keyId, bytes } = ring.seal('a secret that matters', PLACE);
    fc.assert(
      fc.property(fc.nat({ max: bytes.length * 8 - 1 }), (bit) => {
        const changed = Buffer.from(bytes);
        changed[bit >> 3]! ^= 1 << (bit & 7);
        expect(() => ring.open({ keyId, bytes: changed }, PLACE)).toThrow(SealBroken);
      }),
    );
  });

  it('does not open a text that was moved to another reference or organisation', () => {
    const ring = new Keyring([key('a')]);
    const sealed = ring.seal('secret', ['sec_1', 'org_a']);
    for (const place of [['sec_2', 'org_a'], ['sec_1', 'org_b'], ['sec_1org_a'], ['sec_1', 'org_a', ''], []])
      expect(() => ring.open(sealed, place)).toThrow(SealBroken);
  });

  it('does not open a text that was cut off', () => {
    const ring = new Keyring([key('a')]);
    const { keyId, bytes } = ring.seal('secret', PLACE);
    for (let length = 0; length < bytes.length; length++)
      expect(() => ring.open({ keyId, bytes: bytes.subarray(0, length) }, PLACE)).toThrow(SealBroken);
  });

  it('seals under its first key and opens under all: a key is changed by putting a new one in front', () => {
    const old = new Keyring([key('a')]);
    const sealed = old.seal('secret', PLACE);
    const both = new Keyring([key('b'), key('a')]);
    expect(both.open(sealed, PLACE)).toBe('secret');
    expect(both.seal('secret', PLACE).keyId).toBe(new Keyring([key('b')]).currentId);
  });

  it('names the key that it lacks', () => {
    const sealed = new Keyring([key('a')]).seal('secret', PLACE);
    const other = new Keyring([key('b')]);
    expect(() => other.open(sealed, PLACE)).toThrow(KeyMissing);
    expect(() => other.open(sealed, PLACE)).toThrow(sealed.keyId);
  });

  it('names its keys without telling them', () => {
    const [id] = new Keyring([key('a')]).ids;
    expect(id).toMatch(/^[0-9a-f]{12}$/);
    expect(key('a').toString('hex')).not.toContain(id);
  });

  it('takes keys of 32 bytes and no others', () => {
    expect(() => new Keyring([Buffer.alloc(31)])).toThrow(/31 bytes; it must have 32/);
  });
});

describe('a key as the operator writes it', () => {
  it('is 32 bytes in base64 of either alphabet, with or without padding', () => {
    const bytes = key('a');
    for (const text of [bytes.toString('base64'), bytes.toString('base64url'), ` ${bytes.toString('base64')}\n`])
      expect(parseKey(text)).toEqual(bytes);
  });

  it.each([
    ['', 'is not base64'],
    ['not base64!', 'is not base64'],
    [Buffer.alloc(31).toString('base64'), 'has 31 bytes; it must have 32'],
    [Buffer.alloc(33).toString('base64'), 'has 33 bytes; it must have 32'],
  ])('%j is told to be wrong', (text, problem) => {
    expect(parseKey(text)).toEqual({ problem });
  });
});
