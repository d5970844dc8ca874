import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { anyCharacter } from '#libs/kernel/testing/any-character.js';

import { AddressList, isAddressOrRange, networkOf, SenderAddress } from './addresses.js';

describe('a list of addresses', () => {
  it.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['203.0.113.7', '203.0.113.7', true],
    ['203.0.113.7', '203.0.113.8', false],
    ['203.0.113.7', '::ffff:203.0.113.7', true],
    ['::ffff:203.0.113.0/120', '203.0.113.9', true],
    ['2001:db8::/32', '2001:db8:1::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['::1', '0:0:0:0:0:0:0:1', true],
    ['::/0', '127.0.0.1', false],
    ['0.0.0.0/0', '::1', false],
    ['0.0.0.0/0', 'not an address', false],
    ['0.0.0.0/0', '', false],
  ])('%s: %s is in it: %s', (range, address, expected) => {
    expect(new AddressList([range]).has(address)).toBe(expected);
  });

  it.each(['1', '0x7f000001', '010.0.0.1/33', '10.0.0.0/', 'example.com', '', '10.0.0.0/8 ', '1.2.3', '::1/129'])(
    'takes no %j',
    (entry) => {
      expect(isAddressOrRange(entry)).toBe(false);
      expect(() => new AddressList([entry])).toThrow(TypeError);
    },
  );

  it('is asked anything without throwing', () => {
    const list = new AddressList(['10.0.0.0/8', '2001:db8::/32']);
    fc.assert(fc.property(fc.string({ unit: anyCharacter }), (text) => typeof list.has(text) === 'boolean'));
    fc.assert(fc.property(fc.ipV4(), (address) => list.has(address) === address.startsWith('10.')));
  });
});

describe('the sender of a request', () => {
  const behind = new SenderAddress(['127.0.0.1', '192.0.2.0/24', '2001:db8::/32']);

  it.each([
    ['the connection, where nobody is trusted', new SenderAddress([]), '203.0.113.1', '10.0.0.1', '203.0.113.1'],
    ['the connection, if that is not trusted', behind, '203.0.113.1', '10.0.0.1', '203.0.113.1'],
    ['the connection, without the header', behind, '127.0.0.1', undefined, '127.0.0.1'],
    ['what a trusted proxy says', behind, '127.0.0.1', '203.0.113.1', '203.0.113.1'],
    ['the last one that is not trusted', behind, '127.0.0.1', '1.1.1.1, 203.0.113.1, 192.0.2.5', '203.0.113.1'],
    ['the outermost proxy, if all are trusted', behind, '127.0.0.1', '192.0.2.4, 192.0.2.5', '192.0.2.4'],
    ['the proxy that wrote nonsense', behind, '127.0.0.1', '1.1.1.1, unknown, 192.0.2.5', '192.0.2.5'],
    ['told without a port', behind, '127.0.0.1', '203.0.113.1:4711', '203.0.113.1'],
    ['told without brackets', behind, '2001:db8::1', '[2001:dead::1]:4711', '2001:dead::1'],
    ['IPv4 also on a dual-stack socket', behind, '::ffff:127.0.0.1', '::ffff:203.0.113.1', '203.0.113.1'],
    ['nobody, if there is no connection', behind, undefined, '1.1.1.1', ''],
  ])('is %s', (_, sender, connection, forwarded, expected) => {
    expect(sender.of(connection, forwarded)).toBe(expected);
  });

  it('is found in any header without throwing', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), (text) => typeof behind.of('127.0.0.1', text) === 'string'),
    );
  });
});

describe('the network of an address', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:cb00:7107', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8::7:2', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['203.0.113.7:40123', '203.0.113.7'],
    ['[2001:db8:1:2::9]:40123', '2001:db8:1:2::/64'],
    ['unknown', 'unknown'],
  ])('%s is in %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
