import type { WorkflowGraph } from '#libs/events/src/shapes/workflow-shape.js';
import { isObject } from '#libs/kernel/src/json.js';

import type { Definition, Step, UsesFields } from '../../language/definition.js';
import { nestedIn } from '../../steps/registry.js';

type Node = WorkflowGraph['nodes'][number];
type Edge = WorkflowGraph['edges'][number];

/** The steps of a version as nodes, and what follows what as edges. Pure. */
export function graphOf({ steps, onFailure, finally: last }: Definition): { nodes: Node[]; edges: Edge[] } {
  const nodes: Node[] = [];
  const edges: Edge[] = [];
  for (const [part, list] of [
    ['steps', steps],
    ['onFailure', onFailure],
    ['finally', last?.steps ?? []],
  ] as const)
    draw(list, { part }, nodes, edges);
  return { nodes, edges };
}

function draw(steps: readonly Step[], where: Pick<Node, 'part' | 'inside'>, nodes: Node[], edges: Edge[]): void {
  for (const [index, step] of steps.entries()) {
    const { id, name, kind, written, disabled } = step;
    const { uses } = step as Partial<UsesFields>;
    nodes.push({
      id,
      kind: uses?.name ?? kind,
      ...(name !== undefined && { name }),
      ...(disabled && { disabled }),
      ...(written['if'] !== undefined && { if: textOf(written['if']) }),
      ...where,
    });
    const next = steps[index + 1];
    if (next) edges.push({ from: id, to: next.id, kind: 'next' });
    drawInside(step, { part: where.part, inside: id }, nodes, edges);
  }
}

function drawInside(step: Step, where: Pick<Node, 'part' | 'inside'>, nodes: Node[], edges: Edge[]): void {
  const { lists } = nestedIn(step);
  const graph = step.written['graph'];
  if (isObject(graph) && Array.isArray(graph['edges'])) {
    for (const list of lists) for (const one of list) draw([one], where, nodes, edges);
    for (const edge of graph['edges'] as readonly Record<string, unknown>[]) {
      const { from, to, if: condition } = edge;
      edges.push({
        from: String(from),
        to: String(to),
        kind: 'next',
        ...(condition !== undefined && { label: textOf(condition) }),
      });
    }
    return;
  }
  for (const [index, list] of lists.entries()) {
    draw(list, where, nodes, edges);
    const [first] = list;
    const label = labelOf(step, index);
    if (first) edges.push({ from: step.id, to: first.id, kind: 'inside', ...(label !== undefined && { label }) });
  }
}

/** When the steps of a list are taken. */
function labelOf({ written }: Step, index: number): string | undefined {
  const cases = written['switch'];
  if (Array.isArray(cases)) {
    const one: unknown = cases[index];
    return isObject(one) && one['if'] !== undefined ? textOf(one['if']) : 'else';
  }
  if (written['parallel'] !== undefined) return `branch ${index + 1}`;
  if (written['forEach'] !== undefined) return 'each item';
  return isObject(written['while']) ? textOf(written['while']['condition']) : undefined;
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : String(value));
