import { Type } from '@sinclair/typebox';

import type { CompiledExpression } from '#libs/expressions/src/compile.js';
import { isObject } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';

import type { Step } from '../../language/definition.js';
import { closed, EdgeShape, GraphFields, stepShape } from '../../language/fields.js';
import { listOf } from '../../language/reading/step-ids.js';
import type { RawObject, Reading } from '../../language/vocabulary.js';
import { BRANCHES } from '../kind/branches.js';
import type { KeywordKind } from '../kind/step-kind.js';
import { evaluating } from '../kind/step-input.js';

interface Edge {
  readonly from: string;
  readonly to: string;
  readonly condition: CompiledExpression | undefined;
}

/** A step of the graph, and the edges that lead to it. */
interface Node {
  readonly step: Step;
  readonly incoming: readonly Edge[];
}

interface GraphStep {
  /** None stands before one that leads to it. */
  readonly nodes: readonly Node[];
}

/** An edge as it is written, with its place. */
interface Drawn {
  readonly from: string;
  readonly to: string;
  readonly pointer: string;
  readonly raw: RawObject;
}

const Graph = closed(GraphFields, 'A graph.');

/** Runs the steps of an acyclic graph. `nodes` and `edges` at the top of a workflow are read as one such step. */
export const graphStep: KeywordKind<GraphStep> = {
  form: 'keyword',
  name: 'graph',
  shape: stepShape(
    {
      graph: Type.Unknown({
        inEditors: Graph,
        description: '`nodes` (steps with ids) and `edges` (`from`, `to`, `if`).',
      }),
    },
    'Runs the steps of a graph, each as soon as the steps before it have ended. A step runs if one of the edges to it is taken.',
  ),
  nesting: { at: ['graph', 'nodes'], scope: 'shared', lists: ({ nodes }) => [nodes.map(({ step }) => step)] },
  pace: 'lasting',
  events: BRANCHES,

  read({ graph }, reading) {
    const at = `${reading.pointer}/graph`;
    reading.problems.fits(Graph, graph, at);
    const { nodes, edges } = isObject(graph) ? graph : {};
    const ids = idsOf(listOf(nodes), `${at}/nodes`, reading);
    const drawn = edgesOf(listOf(edges), `${at}/edges`, [...ids.keys()], reading);
    const order = inOrder([...ids.keys()], drawn, reading);
    const before = ancestors(order, drawn);
    const compiled = drawn.map((edge) => ({ ...edge, condition: conditionOf(edge, before, reading) }));
    return {
      nodes: order.flatMap((id) => {
        const index = ids.get(id)!;
        const step = reading.step(listOf(nodes)[index], `${at}/nodes/${index}`, seenAfter(before.get(id)!, reading));
        return step ? [{ step, incoming: compiled.filter(({ to }) => to === id) }] : [];
      }),
    };
  },

  decide({ nodes }, decision) {
    if (decision.open === undefined) decision.record('run.branches_started', { count: nodes.length });
    /** Steps that have ended, and whether an edge from them may be taken. */
    const ended = new Map<string, boolean>();
    for (const { step, incoming } of nodes) {
      if (!incoming.every(({ from }) => ended.has(from))) continue;
      const isTaken = ({ from, condition }: Edge): boolean =>
        ended.get(from) === true && evaluating(() => condition?.test(decision.scope()) ?? true);
      const isReached = incoming.length === 0 || incoming.some(isTaken);
      // What no edge leads to is left out, as if it were disabled; a step that has begun goes on.
      const progress = decision.advance([isReached ? step : { ...step, disabled: true }]);
      if (progress === 'open') continue;
      if (progress !== 'done') return decision.failed(progress.failed);
      ended.set(step.id, decision.resultOf([step]).status !== 'skipped');
    }
    return ended.size < nodes.length ? 'open' : decision.completed(null);
  },
};

/** Places of the nodes by id. */
function idsOf(nodes: readonly unknown[], pointer: string, { problems }: Reading): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  for (const [index, node] of nodes.entries()) {
    const id = isObject(node) ? node['id'] : undefined;
    if (typeof id === 'string') ids.set(id, ids.get(id) ?? index);
    else problems.add(`${pointer}/${index}`, 'workflow.missing_key', 'A node must have an "id": edges name it.');
  }
  return ids;
}

function edgesOf(
  edges: readonly unknown[],
  pointer: string,
  ids: readonly string[],
  { problems }: Reading,
): readonly Drawn[] {
  const seen = new Set<string>();
  return edges.flatMap((raw, index): Drawn[] => {
    const at = `${pointer}/${index}`;
    if (!problems.fits(EdgeShape, raw, at)) return [];
    const { from, to } = raw as { from: string; to: string };
    for (const [key, id] of [
      ['from', from],
      ['to', to],
    ] as const)
      if (!ids.includes(id))
        problems.add(
          `${at}/${key}`,
          'workflow.unknown_node',
          `There is no node "${id}". ${suggestion(id, ids)}Nodes: ${ids.join(', ')}.`,
        );
    if (seen.has(`${from} ${to}`))
      problems.add(
        at,
        'workflow.duplicate_edge',
        `There is an edge from "${from}" to "${to}" already. Join the conditions with ||.`,
      );
    seen.add(`${from} ${to}`);
    return ids.includes(from) && ids.includes(to) ? [{ from, to, pointer: at, raw: raw as RawObject }] : [];
  });
}

/** The nodes in an order in which each stands behind those that lead to it; edges that close a cycle are reported. */
function inOrder(ids: readonly string[], edges: readonly Drawn[], { problems }: Reading): readonly string[] {
  const order: string[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const visit = (id: string, path: readonly string[]): void => {
    if (state.get(id) === 'done') return;
    state.set(id, 'open');
    for (const { from, to, pointer } of edges) {
      if (to !== id) continue;
      if (state.get(from) === 'open') {
        const cycle = [from, ...[...path, id].slice([...path, id].indexOf(from) + 1).toReversed(), from];
        problems.add(
          pointer,
          'workflow.cycle',
          `The edge from "${from}" to "${to}" closes a cycle: ${cycle.join(' → ')}. A graph must not have cycles; use "while" inside a node.`,
        );
      } else visit(from, [...path, id]);
    }
    state.set(id, 'done');
    order.push(id);
  };
  for (const id of ids) visit(id, []);
  return order;
}

/** For each node those that lead to it, however far. */
function ancestors(order: readonly string[], edges: readonly Drawn[]): ReadonlyMap<string, ReadonlySet<string>> {
  const before = new Map<string, Set<string>>();
  for (const id of order) {
    const direct = edges.filter(({ to }) => to === id).map(({ from }) => from);
    before.set(id, new Set(direct.flatMap((from) => [...(before.get(from) ?? []), from])));
  }
  return before;
}

function conditionOf(
  { from, pointer, raw }: Drawn,
  before: ReadonlyMap<string, ReadonlySet<string>>,
  reading: Reading,
): CompiledExpression | undefined {
  if (raw['if'] === undefined) return undefined;
  const seen = seenAfter(new Set([...before.get(from)!, from]), reading);
  return reading.expressions.condition(raw['if'], `${pointer}/if`, seen);
}

const seenAfter = (ids: ReadonlySet<string>, { visible }: Reading): Reading['visible'] => ({
  ...visible,
  steps: [...visible.steps, ...ids],
});
