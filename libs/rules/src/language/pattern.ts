import { RE2JS } from 're2js';

import type { Cost } from '#libs/expressions/src/values.js';
import { messageOf } from '#libs/kernel/src/errors.js';
import { remember } from '#libs/kernel/src/remember.js';

/** A regular expression that runs in linear time. */
export interface Pattern {
  /** Instructions. */
  readonly size: number;
  /** Whether something in the text fits. @throws Rejected `expression.too_costly` */
  findsIn(text: string, cost: Cost): boolean;
}

/**
 * Nothing but words, one or another of them, perhaps in either case and tied to a boundary: no classes, groups or
 * repetitions.
 */
const WORDS = /^(\(\?i\))?([^\\.[\](){}*+?]|\\[^\w\s]|\\b)*$/;
/** Instructions of words whose automaton stays below some 300 KB. */
const MAX_WORDS = 256;
/** Instructions from which each one more is paid for in full. */
const SMALL = 32;

/** @throws Error in words if it cannot be compiled. */
export const compilePattern: (source: string) => Pattern = remember((source) => {
  const pattern = compile(source);
  const size = pattern.programSize();
  // An automaton of words has no more states than they have letters, so that whatever the text is, each character is a look
  // into a table: 8 ns. With classes and repetitions it may have very many, takes 8 MB and is slower than what follows.
  if (size <= MAX_WORDS && WORDS.test(source))
    return { size, findsIn: (text, cost) => (cost.spend(1 + (text.length >> 3)), pattern.test(text)) };
  // For each character and instruction 25 ns at worst, and much less in most small patterns: those would be refused on
  // texts that they look through in a few milliseconds.
  const each = Math.max(size / 8, (size - SMALL) / 2 + SMALL / 8);
  return {
    size,
    findsIn: (text, cost) => (cost.spend(1 + Math.floor(text.length * each)), pattern.matcher(text).find()),
  };
});

function compile(source: string): RE2JS {
  try {
    return RE2JS.compile(source);
  } catch (error) {
    throw new Error(
      `Must be a regular expression that runs in linear time (RE2: no look-around, no back-references): ${messageOf(error)}`,
      { cause: error },
    );
  }
}
