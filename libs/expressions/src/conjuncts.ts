import { remember } from '#libs/kernel/src/remember.js';

import { tokensOf } from './tokens.js';

const OPENS: readonly string[] = ['Lparen', 'Lbracket', 'Lbrace', 'Filter'];
const CLOSES: readonly string[] = ['Rparen', 'Rbracket', 'Rbrace'];

/**
 * The parts of a conjunction, in order: `a && b == 'x'` is `a` and `b == 'x'`. Every other expression is one part. The
 * expression is true where each of its parts is.
 * @throws ExpressionError as `compile` does.
 */
export const conjunctsOf: (expression: string) => readonly string[] = remember((expression) => {
  const cuts: number[] = [];
  let depth = 0;
  for (const { type, start } of tokensOf(expression)) {
    if (OPENS.includes(type)) depth += 1;
    else if (CLOSES.includes(type)) depth -= 1;
    else if (depth === 0 && (type === 'Or' || type === 'Pipe')) return [expression];
    else if (depth === 0 && type === 'And') cuts.push(start);
  }
  return [0, ...cuts.map((at) => at + '&&'.length)].map((from, index) => expression.slice(from, cuts[index]).trim());
});
