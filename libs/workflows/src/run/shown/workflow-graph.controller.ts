import { Controller, Get, Inject, Param, Query } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';

import { CurrentCaller } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers } from '#libs/access/src/shapes.controller.js';
import { type RunDetails, type ShownStep } from '#libs/events/src/shapes/run-shape.js';
import { WorkflowDiff, WorkflowGraph } from '#libs/events/src/shapes/workflow-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import type { Definition } from '../../language/definition.js';
import { Definitions } from '../../workflow/definitions.js';
import { lineDiff } from '../../workflow/versions/line-diff.js';
import { stepDiff } from '../../workflow/versions/step-diff.js';
import { graphOf } from '../../workflow/versions/workflow-graph.js';
import { workflowIdOf } from '../../workflow/workflow.js';
import { ShownRuns } from './shown-runs.adapter.js';

/** Versions of a workflow as graphs, and compared. */
@ApiTags('workflows')
@Controller('api/v1/workflows/:name')
export class WorkflowGraphController {
  constructor(
    @Inject(Definitions) private readonly definitions: Definitions,
    @Inject(ShownRuns) private readonly shown: ShownRuns,
  ) {}

  @Get('graph')
  @ApiOperation({
    summary: 'A version as a graph',
    description: 'Steps are nodes. With `run`, the version of the run, and what became of each step in it.',
  })
  @ApiQuery({ name: 'version', required: false, description: 'Hash or number. Default: the newest version.' })
  @ApiQuery({ name: 'run', required: false, description: 'A run of the workflow.' })
  @Answers(WorkflowGraph)
  async graph(
    @CurrentCaller() { orgId }: Caller,
    @Param('name') name: string,
    @Query('version') asked?: string,
    @Query('run') runId?: string,
  ): Promise<WorkflowGraph> {
    const id = workflowIdOf(orgId, name);
    const run = runId ? await this.shown.one(orgId, runId) : undefined;
    if (run && run.workflowId !== id)
      throw new Rejected('invalid', 'workflow.other_run', `The run ${run.id} is one of "${run.workflow}".`);
    const { version, number } = await this.named(id, name, run?.version ?? (asked || undefined));
    const { nodes, edges } = graphOf(await this.usable(id, name, version));
    return {
      workflow: name,
      version,
      number,
      ...(run && { run: run.id, status: run.status }),
      nodes: run ? nodes.map((node) => ({ ...node, ...stateOf(node.id, run) })) : nodes,
      edges,
    };
  }

  @Get('diff')
  @ApiOperation({
    summary: 'Compare two versions',
    description: 'As lines of text, and as steps that were added, removed and changed.',
  })
  @ApiQuery({ name: 'from', required: false, description: 'Hash or number. Default: the version before `to`.' })
  @ApiQuery({ name: 'to', required: false, description: 'Hash or number. Default: the newest version.' })
  @Answers(WorkflowDiff)
  async diff(
    @CurrentCaller() { orgId }: Caller,
    @Param('name') name: string,
    @Query('from') from?: string,
    @Query('to') to?: string,
  ): Promise<WorkflowDiff> {
    const id = workflowIdOf(orgId, name);
    const after = await this.named(id, name, to || undefined);
    const before = await this.named(id, name, from || String(Math.max(1, after.number - 1)));
    // The text of a version that no longer parses can still be compared.
    const [old, young] = await Promise.all([before, after].map(({ version }) => this.definitions.find(id, version)));
    return {
      workflow: name,
      from: { version: before.version, number: before.number },
      to: { version: after.version, number: after.number },
      ...(old && young && { steps: mutable(stepDiff(old, young)) }),
      lines: lineDiff(before.source, after.source).map((line) => ({ ...line })),
    };
  }

  private async named(id: string, name: string, asked: string | undefined) {
    const versions = await this.definitions.versions(id);
    const found =
      asked === undefined
        ? versions.at(-1)
        : versions.find(({ version, number }) => [version, String(number)].includes(asked));
    if (found) return found;
    if (versions.length === 0) throw new Rejected('not_found', 'workflow.not_found', `There is no workflow "${name}".`);
    throw new Rejected('not_found', 'workflow.version_not_found', `There is no version ${asked} of ${name}.`);
  }

  private async usable(id: string, name: string, version: string): Promise<Definition> {
    const definition = await this.definitions.find(id, version);
    if (definition) return definition;
    throw new Rejected(
      'conflict',
      'workflow.broken',
      `"${name}" cannot be drawn: a step that version ${version} uses is not installed.`,
    );
  }
}

const mutable = ({ added, removed, changed }: ReturnType<typeof stepDiff>): NonNullable<WorkflowDiff['steps']> => ({
  added: [...added],
  removed: [...removed],
  changed: changed.map(({ id, keys }) => ({ id, keys: [...keys] })),
});

/** What matters most of what became of a step that ran several times. */
const ORDER: readonly ShownStep['status'][] = ['running', 'waiting', 'failed', 'cancelled', 'completed', 'skipped'];

function stateOf(id: string, { timeline }: RunDetails): Partial<WorkflowGraph['nodes'][number]> {
  const passes = timeline.filter(({ stepId }) => stepId === id);
  if (passes.length === 0) return {};
  const states: Record<string, number> = {};
  for (const { status } of passes) states[status] = (states[status] ?? 0) + 1;
  return { status: ORDER.find((status) => states[status] !== undefined)!, states };
}
