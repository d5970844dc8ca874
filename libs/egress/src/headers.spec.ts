import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { anyCharacter } from '#libs/kernel/testing/any-character.js';

import { checkHeaders, headerRefusal } from './headers.js';

describe('a header of a request', () => {
  it('is accepted with an ordinary name and value', () => {
    expect(headerRefusal('X-Api-Key', 'abc 123 \u00e9')).toBeUndefined();
    expect(() => checkHeaders({ Authorization: 'Bearer abc', 'X-Empty': '' })).not.toThrow();
  });

  it.each(['a\r\nX-Evil: 1', 'a\nb', 'a\rb', 'a\0b', 'snow ☃', '\u007f'])('is refused with the value %j', (value) =>
    expect(headerRefusal('X-A', value)).toBeDefined(),
  );

  it('is refused when it is too long, and says so', () =>
    expect(headerRefusal('X-A', 'x'.repeat(8193))).toMatch(/X-A must have at most 8192 characters/));

  it.each(['', 'a b', 'a:b', 'a\r\nb', 'é', 'x'.repeat(200)])('is refused with the name %j', (name) =>
    expect(headerRefusal(name, 'x')).toBeDefined(),
  );

  it.each(['Host', 'host', 'Content-Length', 'Transfer-Encoding', 'Connection', 'Upgrade', 'TE', 'Keep-Alive'])(
    'is refused when it would steer the connection: %s',
    (name) => expect(headerRefusal(name, 'x')).toMatch(/Remove it/),
  );

  it('that is accepted never holds a line break', () => {
    fc.assert(
      fc.property(fc.string(), fc.string({ unit: anyCharacter }), (name, value) => {
        if (headerRefusal(name, value) === undefined) expect(`${name}${value}`).not.toMatch(/[\r\n\0]/);
      }),
    );
  });

  it('is refused with a stable code', () =>
    expect(() => checkHeaders({ host: 'a' })).toThrow(expect.objectContaining({ code: 'egress.header_refused' })));
});
