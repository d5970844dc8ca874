import type { DataOf } from '#libs/events/src/catalogue.js';
import type { ExecutionError } from '#libs/events/src/shapes/agents/execution-shape.js';

import { usageOf } from './model-calls.js';
import type { ExecutionDraft, Running } from './execution-state.js';

type About = Omit<DataOf<'agent.finished'>, 'output'>;

/** What every end of an execution says. */
function about({ start, startedAt, work }: Running, now: Date): About {
  const usage = usageOf(work);
  const { executionId, agentId, agent, trigger, eventId } = start;
  return {
    executionId,
    agentId,
    agent,
    trigger,
    eventId,
    ...(usage && { usage }),
    durationMs: Math.max(0, now.getTime() - startedAt.getTime()),
  };
}

export const finished = (execution: Running, output: unknown, now: Date): ExecutionDraft => ({
  type: 'agent.finished',
  data: { ...about(execution, now), output: output ?? null },
});

export const failed = (execution: Running, error: ExecutionError, now: Date, output?: unknown): ExecutionDraft => ({
  type: 'agent.failed',
  data: { ...about(execution, now), status: 'failed', error, ...(output !== undefined && { output }) },
});

export const timedOut = (execution: Running, now: Date): ExecutionDraft => ({
  type: 'agent.failed',
  data: {
    ...about(execution, now),
    status: 'timeout',
    error: { code: 'agent.timeout', message: 'The agent delivered no result within its time limit.' },
  },
});
