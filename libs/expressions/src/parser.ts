import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { Comparator, Node, SliceParts } from './ast.js';
import { ExpressionError, malformed, MAX_EXPRESSION_DEPTH } from './expression-error.js';
import { arityProblem } from './functions.js';
import { type Token, tokensOf, type TokenType } from './tokens.js';

/** How tightly a token binds to what stands left of it; the library's own figures. Tokens left out end an expression. */
const POWER: Partial<Record<TokenType, number>> = {
  Pipe: 1,
  Or: 2,
  And: 3,
  EQ: 5,
  GT: 5,
  LT: 5,
  GTE: 5,
  LTE: 5,
  NE: 5,
  Flatten: 9,
  Star: 20,
  Filter: 21,
  Dot: 40,
  Not: 45,
  Lbrace: 50,
  Lbracket: 55,
  Lparen: 60,
};
const COMPARATORS: Partial<Record<TokenType, Comparator>> = {
  EQ: '==',
  NE: '!=',
  GT: '>',
  GTE: '>=',
  LT: '<',
  LTE: '<=',
};
/** A projection ends at tokens that bind more loosely than this. */
const PROJECTION_STOP = 10;

/** The tree of an expression, by the grammar of `jmespath`. @throws ExpressionError with the column. */
export function parse(source: string): Node {
  if (source.trim() === '') throw malformed('the expression is empty.', 0);
  return new Parser(tokensOf(source)).whole();
}

/**
 * A Pratt parser with the library's grammar. The library's own drops what it does not understand (`(a b)` is `a`,
 * `a.(b)` has a hole) and keeps no places; this one refuses with a column, and limits the depth.
 */
class Parser {
  private index = 0;
  private depth = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  whole(): Node {
    const node = this.expression(0);
    const rest = this.token;
    if (rest.type !== 'EOF') throw unexpected(rest, 'an operator such as == or ||, or the end');
    if (node.kind === 'reference') throw malformed('& is for arguments of functions such as sort_by.', node.at);
    return node;
  }

  private get token(): Token {
    return this.tokens[this.index]!;
  }

  private next(): Token {
    return this.tokens[this.index++]!;
  }

  private is(...types: readonly TokenType[]): boolean {
    return types.includes(this.token.type);
  }

  private expect(type: TokenType, wanted: string): Token {
    if (this.token.type !== type) throw unexpected(this.token, wanted);
    return this.next();
  }

  private expression(power: number): Node {
    if (++this.depth > MAX_EXPRESSION_DEPTH)
      throw new ExpressionError(
        'expression.too_deep',
        `the expression is nested more than ${MAX_EXPRESSION_DEPTH} levels deep.`,
        this.token.start + 1,
      );
    let node = this.prefix(this.next());
    while (power < (POWER[this.token.type] ?? 0)) node = this.infix(this.next(), node);
    this.depth--;
    return node;
  }

  private prefix(token: Token): Node {
    const at = token.start;
    switch (token.type) {
      case 'Literal':
        return { kind: 'literal', at, value: token.value };
      case 'UnquotedIdentifier':
        return { kind: 'field', at, name: token.value as string, quoted: false };
      case 'QuotedIdentifier':
        if (this.is('Lparen')) throw malformed('write the name of a function without quotes.', at);
        return { kind: 'field', at, name: token.value as string, quoted: true };
      case 'Current':
        return { kind: 'current', at };
      case 'Not':
        return { kind: 'not', at, of: this.expression(POWER.Not!), parenthesised: false };
      case 'Star':
        return { kind: 'values', at, left: { kind: 'current', at }, right: this.projected(POWER.Star!) };
      case 'Filter':
        return this.filter(at, { kind: 'current', at });
      case 'Lbrace':
        return this.hash(at);
      case 'Flatten':
        return this.flatten(at, { kind: 'current', at });
      case 'Lbracket':
        if (this.is('Number', 'Colon')) return this.subscript(at, { kind: 'current', at });
        if (this.is('Star') && this.tokens[this.index + 1]?.type === 'Rbracket') {
          this.index += 2;
          return { kind: 'projection', at, left: { kind: 'current', at }, right: this.projected(POWER.Star!) };
        }
        return this.list(at);
      case 'Expref':
        return { kind: 'reference', at, of: this.expression(0) };
      case 'Lparen': {
        const inner = this.expression(0);
        this.expect('Rparen', 'a closing )');
        return inner.kind === 'not' ? { ...inner, parenthesised: true } : inner;
      }
      case 'Number':
        throw malformed(`write a number in backticks: \`${String(token.value)}\`.`, at);
      default:
        throw unexpected(token, 'a field, a value or a function');
    }
  }

  private infix(token: Token, left: Node): Node {
    const at = token.start;
    const comparator = COMPARATORS[token.type];
    if (comparator !== undefined)
      return { kind: 'compare', at, operator: comparator, left, right: this.expression(POWER[token.type]!) };
    switch (token.type) {
      case 'Dot':
        if (!this.is('Star')) return { kind: 'sub', at, left, right: this.afterDot(POWER.Dot!) };
        this.next();
        return { kind: 'values', at, left, right: this.projected(POWER.Dot!) };
      case 'Pipe':
        return { kind: 'pipe', at, left, right: this.expression(POWER.Pipe!) };
      case 'Or':
        return { kind: 'or', at, left, right: this.expression(POWER.Or!) };
      case 'And':
        return { kind: 'and', at, left, right: this.expression(POWER.And!) };
      case 'Lparen':
        return this.call(left, at);
      case 'Filter':
        return this.filter(at, left);
      case 'Flatten':
        return this.flatten(at, left);
      case 'Lbracket':
        if (this.is('Number', 'Colon')) return this.subscript(at, left);
        if (!this.is('Star'))
          throw malformed('brackets must contain an index, a slice, * or ?; write a field after a dot.', at);
        this.next();
        this.expect('Rbracket', 'a closing ]');
        return { kind: 'projection', at, left, right: this.projected(POWER.Star!) };
      default:
        throw unexpected(token, 'an operator such as == or ||');
    }
  }

  private afterDot(power: number): Node {
    if (this.is('UnquotedIdentifier', 'QuotedIdentifier', 'Star')) return this.expression(power);
    const opening = this.next();
    if (opening.type === 'Lbracket') return this.list(opening.start);
    if (opening.type === 'Lbrace') return this.hash(opening.start);
    throw unexpected(opening, 'a field name after the dot');
  }

  /** What is done with each element of a projection. */
  private projected(power: number): Node {
    const { type, start } = this.token;
    if (type === 'Lbracket' || type === 'Filter') return this.expression(power);
    if (type === 'Dot') {
      this.next();
      return this.afterDot(power);
    }
    if (type === 'Number' || type === 'Literal' || (POWER[type] ?? 0) >= PROJECTION_STOP)
      throw unexpected(this.token, 'a dot, a bracket or an operator');
    return { kind: 'current', at: start };
  }

  private filter(at: number, left: Node): Node {
    const condition = this.expression(0);
    this.expect('Rbracket', 'a closing ]');
    const right: Node = this.is('Flatten') ? { kind: 'current', at } : this.projected(POWER.Filter!);
    return { kind: 'filter', at, left, right, condition };
  }

  private flatten(at: number, of: Node): Node {
    return { kind: 'projection', at, left: { kind: 'flatten', at, of }, right: this.projected(POWER.Flatten!) };
  }

  private subscript(at: number, left: Node): Node {
    const isSlice = this.is('Colon') || this.tokens[this.index + 1]?.type === 'Colon';
    if (!isSlice) {
      const index = this.next().value as number;
      this.expect('Rbracket', 'a closing ]');
      return { kind: 'sub', at, left, right: { kind: 'index', at, index } };
    }
    const parts: [number | null, number | null, number | null] = [null, null, null];
    for (let part = 0; !this.is('Rbracket');) {
      const token = this.next();
      if (token.type === 'Colon' && part < 2) part++;
      else if (token.type === 'Number' && parts[part] === null) parts[part] = token.value as number;
      else throw unexpected(token, 'a slice such as [1:10:2]');
    }
    this.expect('Rbracket', 'a closing ]');
    if (parts[2] === 0) throw malformed('the step of a slice cannot be 0.', at);
    const slice: Node = { kind: 'slice', at, parts: parts satisfies SliceParts };
    return {
      kind: 'projection',
      at,
      left: { kind: 'sub', at, left, right: slice },
      right: this.projected(POWER.Star!),
    };
  }

  private list(at: number): Node {
    const items = [this.expression(0)];
    while (this.is('Comma')) {
      this.next();
      items.push(this.expression(0));
    }
    this.expect('Rbracket', 'a comma or a closing ]');
    return { kind: 'list', at, items };
  }

  private hash(at: number): Node {
    const entries: [string, Node][] = [];
    for (;;) {
      const key = this.next();
      if (key.type !== 'UnquotedIdentifier' && key.type !== 'QuotedIdentifier')
        throw unexpected(key, 'a key such as name or "user-name"');
      this.expect('Colon', 'a colon after the key');
      entries.push([key.value as string, this.expression(0)]);
      if (!this.is('Comma')) break;
      this.next();
    }
    this.expect('Rbrace', 'a comma or a closing }');
    return { kind: 'hash', at, entries };
  }

  private call(callee: Node, at: number): Node {
    if (callee.kind !== 'field') throw malformed('only a function name can stand before a parenthesis.', at);
    const args: Node[] = [];
    if (!this.is('Rparen')) {
      args.push(this.expression(0));
      while (this.is('Comma')) {
        this.next();
        args.push(this.expression(0));
      }
    }
    this.expect('Rparen', 'a comma or a closing )');
    const problem = arityProblem(callee.name, args);
    if (problem !== undefined) throw malformed(problem, callee.at);
    return { kind: 'call', at: callee.at, name: callee.name, args };
  }
}

function unexpected(token: Token, wanted: string): ExpressionError {
  if (token.type === 'EOF') return malformed(`the expression is incomplete: ${wanted} is missing.`, token.start);
  return malformed(`${stringifyJson(token.value)} is not allowed here; expected ${wanted}.`, token.start);
}
