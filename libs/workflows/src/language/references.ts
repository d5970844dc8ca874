import type { Node } from '#libs/expressions/src/ast.js';
import { parse } from '#libs/expressions/src/parser.js';

/** What an expression reads of its scope: `steps.fetch.output` is `['steps', 'fetch', 'output']`. */
export type Reference = readonly string[];

/** Every part of the scope that an expression names, as far down as plain fields go. */
export function references(expression: string): readonly Reference[] {
  const found: Reference[] = [];
  visit(parse(expression), found);
  return found;
}

/** Follows only what is evaluated over the scope itself: behind a projection or a pipe the scope is another. */
function visit(node: Node, found: Reference[]): void {
  switch (node.kind) {
    case 'field':
    case 'sub': {
      const path = pathOf(node);
      if (path) found.push(path.names);
      else if (node.kind === 'sub') visit(node.left, found);
      return;
    }
    case 'pipe':
    case 'projection':
    case 'values':
    case 'filter':
      return visit(node.left, found);
    case 'flatten':
    case 'not':
      return visit(node.of, found);
    case 'compare':
    case 'or':
    case 'and':
      visit(node.left, found);
      return visit(node.right, found);
    case 'list':
      return node.items.forEach((item) => visit(item, found));
    case 'hash':
      return node.entries.forEach(([, value]) => visit(value, found));
    case 'call':
      return node.args.forEach((argument) => visit(argument, found));
    case 'current':
    case 'literal':
    case 'index':
    case 'slice':
    case 'reference':
      return;
  }
}

/** `whole` while every part so far is a plain field. */
function pathOf(node: Node): { readonly names: readonly string[]; readonly whole: boolean } | undefined {
  if (node.kind === 'field') return { names: [node.name], whole: true };
  if (node.kind === 'current') return { names: [], whole: true };
  if (node.kind !== 'sub') return undefined;
  const left = pathOf(node.left);
  if (!left) return undefined;
  return left.whole && node.right.kind === 'field'
    ? { names: [...left.names, node.right.name], whole: true }
    : { ...left, whole: false };
}
