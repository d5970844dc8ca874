import { describe, expect, it } from '@jest/globals';

import { remember } from './remember.js';

describe('a function that remembers', () => {
  it('gives the same object for the same text', () => {
    const lengths = remember((text) => ({ length: text.length }));
    expect(lengths('abc')).toEqual({ length: 3 });
    expect(lengths('abc')).toBe(lengths('abc'));
    expect(lengths('ab')).not.toBe(lengths('abc'));
  });

  it('remembers a bounded number of short texts', () => {
    let made = 0;
    const counted = remember(() => ++made, 2, 3);
    for (const text of ['a', 'b', 'a', 'b']) counted(text);
    expect(made).toBe(2);
    counted('c');
    counted('a');
    expect(made).toBe(4);
    counted('long');
    counted('long');
    expect(made).toBe(6);
  });

  it('does not remember a failure', () => {
    let fails = true;
    const once = remember((text) => {
      if (fails) throw new Error('no');
      return text;
    });
    expect(() => once('a')).toThrow('no');
    fails = false;
    expect(once('a')).toBe('a');
  });
});
