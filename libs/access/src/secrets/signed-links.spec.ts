import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { Keyring } from './keyring.js';
import { SignedLinks } from './signed-links.js';

const [first, second] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const links = (...keys: [Buffer, ...Buffer[]]) => new SignedLinks(new Keyring(keys), 'https://millrace.example.com');
const ours = links(first);
const linkOf = (url: string): string => url.replace('https://millrace.example.com/links/', '');

describe('a signed link', () => {
  it('is read as what it was signed for', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer())), (claims) => {
        expect(ours.read(linkOf(ours.url(claims)))).toEqual(JSON.parse(JSON.stringify(claims)));
      }),
    );
  });

  it('is read by whoever has the key, also behind a newer one, and by nobody else', () => {
    const link = linkOf(ours.url({ d: 'approve' }));
    expect(links(second, first).read(link)).toEqual({ d: 'approve' });
    expect(links(second).read(link)).toBeUndefined();
    // The key that encrypts secrets is not the one that signs.
    expect(linkOf(links(second, first).url({ d: 'approve' }))).not.toBe(link);
  });

  it('is not read once any character of it is another, missing or too many', () => {
    const link = linkOf(ours.url({ d: 'approve', r: 'run_1' }));
    fc.assert(
      fc.property(fc.nat(link.length), fc.constantFrom('', 'A', 'b', '7', '.', '-', '=', '%', 'AA'), (at, other) => {
        const changed = link.slice(0, at) + other + link.slice(at + 1);
        if (changed !== link) expect(ours.read(changed)).toBeUndefined();
        const longer = link.slice(0, at) + other + link.slice(at);
        if (longer !== link) expect(ours.read(longer)).toBeUndefined();
      }),
    );
    for (const odd of ['', '.', '..', 'a.b', `${link}.${link}`]) expect(ours.read(odd)).toBeUndefined();
  });
});
