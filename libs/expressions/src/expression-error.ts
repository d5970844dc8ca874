import { Rejected } from '#libs/kernel/src/errors.js';

/** Most characters of one expression. */
export const MAX_EXPRESSION_LENGTH = 4_096;
/** Most levels of nesting: brackets, braces, parentheses, function calls, negations. */
export const MAX_EXPRESSION_DEPTH = 64;

/** Why an expression cannot be compiled. `column` counts from 1, in UTF-16 units, as editors do. */
export class ExpressionError extends Rejected {
  constructor(
    code: 'expression.malformed' | 'expression.too_long' | 'expression.too_deep',
    /** What is wrong and what to write instead, without the place. */
    readonly detail: string,
    readonly column: number,
  ) {
    super('invalid', code, `column ${column}: ${detail}`, {
      problems: [{ pointer: '', detail: `column ${column}: ${detail}`, code }],
    });
  }
}

/** The usual case: the text is not an expression. `offset` counts from 0. */
export const malformed = (detail: string, offset: number): ExpressionError =>
  new ExpressionError('expression.malformed', detail, offset + 1);
