import jmespath from 'jmespath';

import { parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { ExpressionError, malformed, MAX_EXPRESSION_LENGTH } from './expression-error.js';

/** What the tokeniser of the library calls its tokens. */
export type TokenType =
  | 'EOF'
  | 'UnquotedIdentifier'
  | 'QuotedIdentifier'
  | 'Rbracket'
  | 'Rparen'
  | 'Comma'
  | 'Colon'
  | 'Rbrace'
  | 'Number'
  | 'Current'
  | 'Expref'
  | 'Pipe'
  | 'Or'
  | 'And'
  | 'EQ'
  | 'GT'
  | 'LT'
  | 'GTE'
  | 'LTE'
  | 'NE'
  | 'Flatten'
  | 'Star'
  | 'Filter'
  | 'Dot'
  | 'Not'
  | 'Lbrace'
  | 'Lbracket'
  | 'Lparen'
  | 'Literal';

export interface Token {
  readonly type: TokenType;
  readonly value: unknown;
  /** Offset in the source, from 0. */
  readonly start: number;
}

declare module 'jmespath' {
  export function tokenize(expression: string): Token[];
}

/**
 * The library's tokens of an expression, ending in `EOF`. What the library accepts wrongly, or refuses without saying
 * where, is refused here first, with the column: quotes that never end, a single `=`, names with a hyphen, characters
 * that mean nothing.
 */
export function tokensOf(source: string): readonly Token[] {
  if (source.length > MAX_EXPRESSION_LENGTH)
    throw new ExpressionError(
      'expression.too_long',
      `the expression has ${source.length} characters; at most ${MAX_EXPRESSION_LENGTH} are allowed.`,
      MAX_EXPRESSION_LENGTH + 1,
    );
  const literals = new Map<number, unknown>();
  const clean = check(source, literals);
  const tokens = jmespath
    .tokenize(clean)
    .map((token) => (literals.has(token.start) ? { ...token, value: literals.get(token.start) } : token));
  return [...tokens, { type: 'EOF', value: '', start: source.length }];
}

/**
 * Walks over the lexemes. Returns the text as the library is to read it: carriage returns, which it does not know, as
 * spaces, and strings and literals, which it reads wrongly, with nothing in them.
 */
function check(source: string, literals: Map<number, unknown>): string {
  let clean = '';
  let at = 0;
  while (at < source.length) {
    const length = lexeme(source, at, literals);
    const text = source.slice(at, at + length);
    const quote = text[0]!;
    if (literals.has(at)) clean += quote + ' '.repeat(length - 2) + quote;
    else clean += text === '\r' ? ' ' : text;
    at += length;
  }
  return clean;
}

const IDENTIFIER = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /[-0-9]+/y;
const PUNCTUATION = new Set('.*,:{}[]()@&|?<>! \t\n\r');

/** Length of the lexeme that begins at `at`. Values that the library would read wrongly go into `literals`. */
function lexeme(source: string, at: number, literals: Map<number, unknown>): number {
  const identifier = runOf(IDENTIFIER, source, at);
  if (identifier !== undefined) {
    const after = source[at + identifier.length];
    if (after === '-')
      throw malformed('write a name with a hyphen in double quotes, such as "user-agent".', at + identifier.length);
    return identifier.length;
  }
  const number = runOf(NUMBER, source, at);
  if (number !== undefined) {
    if (!/^-?\d{1,15}$/.test(number))
      throw malformed(`${number} is not a whole number; calculations are not part of JMESPath.`, at);
    return number.length;
  }
  const character = source[at]!;
  if (character === "'" || character === '"' || character === '`') return quoted(source, at, literals);
  const next = source[at + 1];
  if (character === '=' && next !== '=') throw malformed('write a comparison with two equals signs: ==.', at);
  if ('=!<>'.includes(character) && next === '=') return 2;
  if (!PUNCTUATION.has(character) || (character === '?' && source[at - 1] !== '['))
    throw malformed(`the character ${stringifyJson(character)} is not allowed here.`, at);
  return 1;
}

function runOf(pattern: RegExp, source: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(source)?.[0];
}

const NAME_OF_QUOTE = { "'": 'string', '"': 'quoted name', '`': 'literal' } as const;

function quoted(source: string, start: number, literals: Map<number, unknown>): number {
  const quote = source[start] as keyof typeof NAME_OF_QUOTE;
  let end = start + 1;
  while (end < source.length && source[end] !== quote)
    end += source[end] === '\\' && (source[end + 1] === '\\' || source[end + 1] === quote) ? 2 : 1;
  if (end >= source.length)
    throw malformed(`the ${NAME_OF_QUOTE[quote]} that begins here is not closed: add a closing ${quote}.`, start);
  const inner = source.slice(start + 1, end);
  // The library unescapes the first escaped quote of a text only.
  if (quote === "'") literals.set(start, inner.replaceAll("\\'", "'"));
  else if (quote === '`') literals.set(start, literal(inner.trimStart().replaceAll('\\`', '`'), start));
  else parse(`"${inner}"`, start, 'the quoted name has an escape or a line break that JSON does not allow.');
  return end + 1 - start;
}

/** JSON between backticks; what does not look like JSON is a string without its quotes, as the library has it. */
function literal(text: string, start: number): unknown {
  // Blanks around JSON have no meaning.
  const json = text.trimEnd();
  const isWord = json === 'true' || json === 'false' || json === 'null';
  if (isWord || /^[["{]/.test(json)) return parse(json, start, `\`${json}\` is not valid JSON.`);
  if (/^[-0-9]/.test(json)) {
    try {
      return parseJson(json);
    } catch {
      // Such as a date: a string.
    }
  }
  return parse(`"${text}"`, start, `\`${text}\` is not valid JSON; write a string in single quotes.`);
}

function parse(json: string, start: number, detail: string): unknown {
  try {
    return parseJson(json);
  } catch {
    throw malformed(detail, start);
  }
}
