import type { Node } from './ast.js';
import { fieldOf, isAlwaysThere, itemsOf, type JsonSchema } from './schema.js';

/**
 * What stands in for a value that is missing, by function and argument. There the specification wants an error where the
 * argument is `null`; here the result is `null` or `false`. Functions that take any value are not among them.
 */
const DEFAULTS: Readonly<Record<string, readonly (string | undefined)[]>> = {
  abs: ['`0`'],
  avg: ['`[]`'],
  ceil: ['`0`'],
  contains: ["''"],
  ends_with: ["''", "''"],
  floor: ['`0`'],
  join: ["''", '`[]`'],
  keys: ['`{}`'],
  length: ['`[]`'],
  map: [undefined, '`[]`'],
  max: ['`[]`'],
  max_by: ['`[]`'],
  merge: ['`{}`', '`{}`', '`{}`', '`{}`'],
  min: ['`[]`'],
  min_by: ['`[]`'],
  reverse: ['`[]`'],
  sort: ['`[]`'],
  sort_by: ['`[]`'],
  starts_with: ["''", "''"],
  sum: ['`[]`'],
  values: ['`{}`'],
};

/** What to write after `||` for an argument that may be missing; `undefined` where `null` is as good as any other value. */
export const defaultFor = (name: string, index: number): string | undefined => DEFAULTS[name]?.[index];

/** Whether a node may be `null` because something is not there, as far as the schema of its scope tells. */
export function mayBeMissing(node: Node, schema: JsonSchema | undefined): boolean {
  switch (node.kind) {
    case 'field':
      return !schema || !isAlwaysThere(schema, node.name);
    case 'index':
      return true;
    case 'sub':
    case 'pipe':
      return mayBeMissing(node.left, schema) || mayBeMissing(node.right, schemaOf(node.left, schema));
    case 'flatten':
      return mayBeMissing(node.of, schema);
    case 'projection':
    case 'values':
    case 'filter':
      return mayBeMissing(node.left, schema);
    case 'or':
      return mayBeMissing(node.right, schema);
    case 'and':
      return mayBeMissing(node.left, schema) || mayBeMissing(node.right, schema);
    default:
      // Values that are written down or computed; the elements that a projection gives are there.
      return false;
  }
}

function schemaOf(node: Node, schema: JsonSchema | undefined): JsonSchema | undefined {
  if (!schema || node.kind === 'current') return schema;
  if (node.kind === 'field') {
    const found = fieldOf(schema, node.name);
    return found === 'unknown' ? undefined : found;
  }
  if (node.kind === 'index') return itemsOf(schema);
  if (node.kind === 'sub' || node.kind === 'pipe') return schemaOf(node.right, schemaOf(node.left, schema));
  return undefined;
}

/** Where the text of a node begins. */
export const startOf = (node: Node): number =>
  'left' in node ? Math.min(node.at, startOf(node.left)) : node.kind === 'flatten' ? startOf(node.of) : node.at;
