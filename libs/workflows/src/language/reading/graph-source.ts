import type { JsonObject } from '#libs/kernel/src/json.js';

import type { SourceProblems } from '../source-problems.js';

const GRAPH = '/steps/0/graph';

export const isGraph = (workflow: object): boolean =>
  Object.hasOwn(workflow, 'nodes') || Object.hasOwn(workflow, 'edges');

/** A workflow whose `nodes` and `edges` are the one step of its `steps`. */
export function asSteps(workflow: JsonObject, problems: SourceProblems): JsonObject {
  const { nodes, edges, steps, ...rest } = workflow;
  if (steps !== undefined)
    problems.add(
      '/nodes',
      'workflow.bad_value',
      'A workflow must have "steps", or "nodes" and "edges", not both.',
      true,
    );
  return {
    ...rest,
    steps: [{ graph: { ...(nodes !== undefined && { nodes }), ...(edges !== undefined && { edges }) } }],
  };
}

/** Where something stands in the text of such a workflow. */
export const inGraphText = (pointer: string): string =>
  pointer === '/steps' || pointer === '/steps/0'
    ? ''
    : pointer.startsWith(GRAPH)
      ? pointer.slice(GRAPH.length)
      : pointer;
