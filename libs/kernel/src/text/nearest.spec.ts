import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { nearest, suggestion } from './nearest.js';

const NAMES = ['equals', 'not_equals', 'contains', 'branch', 'id'];

describe('the name that was probably meant', () => {
  it.each([
    ['equalz', 'equals'],
    ['euqals', 'equals'],
    ['EQUALS', 'equals'],
    ['brnch', 'branch'],
    ['branches', 'branch'],
    ['contain', 'contains'],
    ['ip', 'id'],
    ['not', 'not_equals'],
    ['branchName', 'branch'],
    ['event.id', 'id'],
    ['something', undefined],
    ['valid', undefined],
    ['', undefined],
    ['x'.repeat(10_000), undefined],
  ])('by %s is %s', (given, wanted) => {
    expect(nearest(given, NAMES)).toBe(wanted);
  });

  it('is the name itself where there is one', () => {
    fc.assert(fc.property(fc.constantFrom(...NAMES), (name) => expect(nearest(name, NAMES)).toBe(name)));
  });

  it.each([
    ['attempts', 'maxAttempts'],
    ['max_attempts', 'maxAttempts'],
    ['timeoutMs', 'timeout'],
    ['delay', 'delay'],
  ])('is told by its words: %s is %s', (given, wanted) => {
    expect(nearest(given, ['maxDelay', 'delay', 'maxAttempts', 'timeout'])).toBe(wanted);
  });

  it('is put as a question, or not at all', () => {
    expect(suggestion('equalz', NAMES)).toBe('Did you mean "equals"? ');
    expect(suggestion('something', NAMES)).toBe('');
  });
});
