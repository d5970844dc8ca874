/** The tree of an expression. `at` is the offset in the source at which a person would look for it. */
export type Node =
  | { readonly kind: 'current'; readonly at: number }
  | { readonly kind: 'literal'; readonly at: number; readonly value: unknown }
  | { readonly kind: 'field'; readonly at: number; readonly name: string; readonly quoted: boolean }
  /** `left.right`, and `left[0]`. */
  | { readonly kind: 'sub'; readonly at: number; readonly left: Node; readonly right: Node }
  | { readonly kind: 'pipe'; readonly at: number; readonly left: Node; readonly right: Node }
  | { readonly kind: 'index'; readonly at: number; readonly index: number }
  | { readonly kind: 'slice'; readonly at: number; readonly parts: SliceParts }
  | { readonly kind: 'flatten'; readonly at: number; readonly of: Node }
  /** `[*]`: over an array. */
  | { readonly kind: 'projection'; readonly at: number; readonly left: Node; readonly right: Node }
  /** `*`: over the values of an object. */
  | { readonly kind: 'values'; readonly at: number; readonly left: Node; readonly right: Node }
  | {
      readonly kind: 'filter';
      readonly at: number;
      readonly left: Node;
      readonly right: Node;
      readonly condition: Node;
    }
  | {
      readonly kind: 'compare';
      readonly at: number;
      readonly operator: Comparator;
      readonly left: Node;
      readonly right: Node;
    }
  | { readonly kind: 'or'; readonly at: number; readonly left: Node; readonly right: Node }
  | { readonly kind: 'and'; readonly at: number; readonly left: Node; readonly right: Node }
  | { readonly kind: 'not'; readonly at: number; readonly of: Node; readonly parenthesised: boolean }
  | { readonly kind: 'list'; readonly at: number; readonly items: readonly Node[] }
  | { readonly kind: 'hash'; readonly at: number; readonly entries: readonly (readonly [name: string, value: Node])[] }
  | { readonly kind: 'call'; readonly at: number; readonly name: string; readonly args: readonly Node[] }
  /** `&expression`, an argument of `map`, `sort_by` and the like. */
  | { readonly kind: 'reference'; readonly at: number; readonly of: Node };

export type Comparator = '==' | '!=' | '<' | '<=' | '>' | '>=';

/** Start, stop and step of `[1:10:2]`; `null` where it is left out. */
export type SliceParts = readonly [number | null, number | null, number | null];

/** The nodes directly below one, in the order of the source. */
export function childrenOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case 'current':
    case 'literal':
    case 'field':
    case 'index':
    case 'slice':
      return [];
    case 'flatten':
    case 'not':
    case 'reference':
      return [node.of];
    case 'filter':
      return [node.left, node.condition, node.right];
    case 'list':
      return node.items;
    case 'hash':
      return node.entries.map(([, value]) => value);
    case 'call':
      return node.args;
    default:
      return [node.left, node.right];
  }
}
