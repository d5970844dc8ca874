import { suggestion } from '#libs/kernel/src/text/nearest.js';

import { childrenOf, type Node } from './ast.js';
import { defaultFor, mayBeMissing, startOf } from './missing.js';
import { parse } from './parser.js';
import { fieldsOf, fieldOf, itemsOf, type JsonSchema, valuesOf } from './schema.js';

/** Something that is allowed and probably not meant. */
export interface LintWarning {
  readonly code:
    | 'expression.double_quotes'
    | 'expression.not_binding'
    | 'expression.bare_literal'
    | 'expression.unknown_field'
    /** Portability: here the result is `null` or `false`, other engines fail. */
    | 'expression.may_be_missing';
  /** What is probably meant, in a sentence. */
  readonly message: string;
  /** In the expression, from 1. */
  readonly column: number;
}

export interface LintOptions {
  /** JSON Schema of what the expression is evaluated over. Without it, no field is unknown. */
  readonly schema?: JsonSchema;
}

/**
 * What is suspicious in an expression that compiles.
 * @throws ExpressionError as `compile` does.
 */
export function lint(expression: string, { schema }: LintOptions = {}): readonly LintWarning[] {
  const warnings: LintWarning[] = [];
  const tree = parse(expression);
  lookAt(tree, warnings);
  follow(tree, schema, warnings);
  // One node can be suspicious in two ways: the more telling one is found first.
  const seen = new Set<number>();
  return warnings
    .filter(({ column }) => !seen.has(column) && seen.add(column))
    .sort((first, second) => first.column - second.column);
}

const WORDS = new Set(['true', 'false', 'null']);
/** Functions whose arguments are texts, so that a name in double quotes is hardly meant as a field. */
const TEXT_FUNCTIONS = new Set(['contains', 'starts_with', 'ends_with', 'join']);

function lookAt(node: Node, warnings: LintWarning[]): void {
  const warn = (code: LintWarning['code'], at: number, message: string) =>
    warnings.push({ code, message, column: at + 1 });
  const operands =
    node.kind === 'compare'
      ? [node.left, node.right]
      : node.kind === 'call' && TEXT_FUNCTIONS.has(node.name)
        ? node.args
        : [];
  for (const operand of operands) {
    if (operand.kind !== 'field') continue;
    if (operand.quoted)
      warn(
        'expression.double_quotes',
        operand.at,
        `"${operand.name}" is a field name; write a string in single quotes: '${operand.name}'.`,
      );
    else if (WORDS.has(operand.name))
      warn(
        'expression.bare_literal',
        operand.at,
        `${operand.name} is a field name; write the value in backticks: \`${operand.name}\`.`,
      );
  }
  const left = 'left' in node ? node.left : node.kind === 'flatten' ? node.of : undefined;
  if (left?.kind === 'not' && !left.parenthesised && !['compare', 'or', 'and', 'pipe'].includes(node.kind))
    warn(
      'expression.not_binding',
      left.at,
      '! applies to the first name only, and the rest of the path then reads from true or false: put the whole path into parentheses, such as !(data.draft).',
    );
  for (const child of childrenOf(node)) lookAt(child, warnings);
}

/** The schema of a node's value over a scope of `schema`; `undefined` where nothing is known. */
function follow(node: Node, schema: JsonSchema | undefined, warnings: LintWarning[]): JsonSchema | undefined {
  const into = (child: Node, over: JsonSchema | undefined) => follow(child, over, warnings);
  switch (node.kind) {
    case 'current':
      return schema;
    case 'field': {
      if (!schema) return undefined;
      const known = fieldOf(schema, node.name);
      if (known !== 'unknown') return known;
      const names = fieldsOf(schema);
      warnings.push({
        code: 'expression.unknown_field',
        column: node.at + 1,
        message: `there is no field ${node.name} here. ${suggestion(node.name, names)}${listed(names)}`,
      });
      return undefined;
    }
    case 'sub':
    case 'pipe':
      return into(node.right, into(node.left, schema));
    case 'index':
      return itemsOf(schema);
    case 'slice':
      return schema;
    case 'flatten': {
      const inner = into(node.of, schema);
      return itemsOf(itemsOf(inner)) === undefined ? inner : itemsOf(inner);
    }
    case 'projection':
      into(node.right, itemsOf(into(node.left, schema)));
      return undefined;
    case 'values':
      into(node.right, valuesOf(into(node.left, schema)));
      return undefined;
    case 'filter': {
      const item = itemsOf(into(node.left, schema));
      into(node.condition, item);
      into(node.right, item);
      return undefined;
    }
    case 'call':
      followCall(node, schema, warnings);
      return undefined;
    default:
      for (const child of childrenOf(node)) into(child, schema);
      return undefined;
  }
}

function followCall(
  { name, args }: Extract<Node, { kind: 'call' }>,
  schema: JsonSchema | undefined,
  warnings: LintWarning[],
): void {
  for (const [index, arg] of args.entries()) {
    if (arg.kind === 'reference') continue;
    const before = warnings.length;
    const elements = itemsOf(follow(arg, schema, warnings));
    // The elements that a reference looks at are those of the other argument.
    for (const other of args) if (other.kind === 'reference') follow(other.of, elements, warnings);
    const instead = defaultFor(name, index);
    // Of what is known nothing, nothing is said.
    if (instead === undefined || !schema || warnings.length > before || !mayBeMissing(arg, schema)) continue;
    warnings.push({
      code: 'expression.may_be_missing',
      column: startOf(arg) + 1,
      message: `if this is missing, ${name}() returns ${FALSE.has(name) ? 'false' : 'null'}, and other JMESPath engines fail: write || ${instead} after it to choose a value.`,
    });
  }
}

/** Functions that answer a question. */
const FALSE = new Set(['contains', 'starts_with', 'ends_with']);

const listed = (names: readonly string[]): string =>
  names.length === 0 || names.length > 20 ? '' : `Fields: ${names.join(', ')}.`;
