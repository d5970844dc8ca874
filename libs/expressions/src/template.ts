import { randomBytes } from 'node:crypto';

import { eachString, type SecretPlace, shownSecret } from '#libs/events/src/secrets/secret-places.js';
import { SECRET_NAME } from '#libs/events/src/shapes/secret-shape.js';
import { type Problem, Rejected } from '#libs/kernel/src/errors.js';
import { isExactNumber, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { type Json, pointerToken } from '#libs/kernel/src/json.js';

import { type CompiledExpression, compile } from './compile.js';
import { ExpressionError, malformed } from './expression-error.js';
import { Cost, isArray, setOwn, weigh } from './values.js';

/** A JSON value whose strings may hold `${{ expression }}`, ready to be filled in. Immutable. */
export interface CompiledTemplate {
  /** Every expression in it, with the JSON pointer of its string and the column at which it begins. */
  readonly expressions: readonly TemplateExpression[];
  /**
   * The value with every template replaced. A string that is one whole template takes the expression's value with its
   * type; elsewhere strings go in as they are, `null` as nothing, everything else as JSON.
   * @param cost shared by all that is to be paid for together; without it, as much as a single expression may cost.
   * @throws Rejected `expression.too_costly`, and nothing else.
   */
  render(scope: unknown, cost?: Cost): Json;
}

export interface TemplateExpression {
  readonly pointer: string;
  readonly column: number;
  readonly expression: CompiledExpression;
}

const MAX_TEMPLATE_DEPTH = 64;
const OPEN = '${{';

type Render = (scope: unknown, cost: Cost) => unknown;

/**
 * @param pointer where the value stands in the document that the caller reports about.
 * @throws Rejected `expression.malformed` (kind `invalid`) with one problem for each string that is wrong.
 */
export function compileTemplate(value: Json, pointer = ''): CompiledTemplate {
  const problems: Problem[] = [];
  const expressions: TemplateExpression[] = [];
  const run = build(value, pointer, 0, expressions, problems);
  if (problems.length > 0)
    throw new Rejected('invalid', 'expression.malformed', `${problems[0]!.pointer || '/'}: ${problems[0]!.detail}`, {
      problems,
    });
  return { expressions, render: (scope, cost = new Cost()) => run(scope, cost) as Json };
}

function build(value: Json, pointer: string, depth: number, found: TemplateExpression[], problems: Problem[]): Render {
  if (depth > MAX_TEMPLATE_DEPTH) {
    problems.push({ pointer, detail: `Must be nested at most ${MAX_TEMPLATE_DEPTH} levels deep.` });
    return () => null;
  }
  if (typeof value === 'string') {
    try {
      return text(value, pointer, found);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      problems.push({ pointer, detail: error.message, code: error.code });
      return () => null;
    }
  }
  if (typeof value !== 'object' || value === null || isExactNumber(value)) return () => value;
  const before = found.length;
  if (isArray(value)) {
    const items = value.map((item, index) => build(item, `${pointer}/${index}`, depth + 1, found, problems));
    if (found.length === before) return () => value;
    return (scope, cost) => items.map((item) => item(scope, cost));
  }
  const entries = Object.entries(value).map(
    ([key, item]) => [key, build(item, `${pointer}/${pointerToken(key)}`, depth + 1, found, problems)] as const,
  );
  if (found.length === before) return () => value;
  return (scope, cost) => {
    const filled: Record<string, unknown> = {};
    for (const [key, item] of entries) setOwn(filled, key, item(scope, cost));
    return filled;
  };
}

function text(source: string, pointer: string, found: TemplateExpression[]): Render {
  const parts: (string | CompiledExpression)[] = [];
  let at = 0;
  for (let open = source.indexOf(OPEN); open >= 0; open = source.indexOf(OPEN, at)) {
    const start = open + OPEN.length;
    const end = endOf(source, open);
    const expression = compileAt(source.slice(start, end), start);
    found.push({ pointer, column: start + 1, expression });
    if (open > at) parts.push(source.slice(at, open));
    parts.push(expression);
    at = end + 2;
  }
  if (parts.length === 0) return () => source;
  if (at < source.length) parts.push(source.slice(at));
  const [only] = parts;
  if (parts.length === 1 && typeof only === 'object')
    return (scope, cost) => {
      const value = only.evaluate(scope, cost);
      weigh(value, cost);
      return value;
    };
  return (scope, cost) =>
    parts.map((part) => (typeof part === 'string' ? part : inText(part.evaluate(scope, cost), cost))).join('');
}

function compileAt(expression: string, offset: number): CompiledExpression {
  try {
    return compile(expression);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    throw new ExpressionError(error.code as 'expression.malformed', error.detail, error.column + offset);
  }
}

/** Offset of the `}}` that ends the template opened at `open`; braces and quotes within it are passed over. */
function endOf(source: string, open: number): number {
  let braces = 0;
  for (let at = open + OPEN.length; at < source.length; at++) {
    const character = source[at]!;
    if (character === "'" || character === '"' || character === '`') {
      for (at++; at < source.length && source[at] !== character; at++) if (source[at] === '\\') at++;
    } else if (character === '{') braces++;
    else if (character === '}' && braces > 0) braces--;
    else if (character === '}' && source[at + 1] === '}') return at;
  }
  throw malformed('the template that begins here is not closed: add }}, and close every quote in it.', open);
}

function inText(value: Json, cost: Cost): string {
  if (value === null) return '';
  weigh(value, cost);
  return typeof value === 'string' ? value : stringifyJson(value);
}

const WHOLE = new RegExp(`^\\s*secrets\\.(${SECRET_NAME})\\s*$`);

/** The name of the secret that an expression is; `undefined` for every other expression. */
export const secretIn = (expression: string): string | undefined => WHOLE.exec(expression)?.[1];

/** Names of the secrets in a template. */
export const secretsIn = ({ expressions }: Pick<CompiledTemplate, 'expressions'>): readonly string[] => [
  ...new Set(expressions.flatMap(({ expression }) => secretIn(expression.source) ?? [])),
];

/**
 * Stands for a secret while a template is filled in. Nobody outside can guess it, so nothing that comes from an event is
 * taken for a secret; it is never recorded.
 */
const MARK = randomBytes(16).toString('hex');
const MARKS = new RegExp(`<${MARK}:(${SECRET_NAME})>`, 'g');

/** Whether a value that {@link renderMarked} gave has a secret: what it will be is not known, but that it is a text. */
export const holdsMark = (value: unknown): false | 'text' =>
  typeof value === 'string' && value.includes(MARK) ? 'text' : false;

/** Fills in a template, with marks where its secrets are. {@link unmarked} takes them out again. */
export function renderMarked(template: CompiledTemplate, scope: unknown, cost?: Cost): Json {
  const names = secretsIn(template);
  if (names.length === 0) return template.render(scope, cost);
  const secrets = Object.fromEntries(names.map((name) => [name, `<${MARK}:${name}>`]));
  return template.render({ ...(scope as object), secrets }, cost);
}

/** The value as it is recorded, and where its secrets are. */
export function unmarked<T>(value: T): { readonly value: T; readonly places: SecretPlace[] } {
  const places: SecretPlace[] = [];
  const shown = eachString(value, (text, pointer) => {
    let shift = 0;
    return text.replaceAll(MARKS, (mark, name: string, offset: number) => {
      places.push({ pointer, index: offset + shift, name });
      shift += shownSecret(name).length - mark.length;
      return shownSecret(name);
    });
  }) as T;
  return { value: shown, places };
}
