import type { DataOf } from '#libs/events/src/catalogue.js';
import type { ExecutionError } from '#libs/events/src/shapes/agents/execution-shape.js';

import type { ExecutionDraft, Running } from './execution-state.js';

type About = Pick<DataOf<'agent.finished'>, 'executionId' | 'agentId' | 'agent' | 'trigger' | 'eventId' | 'durationMs'>;

/** What every end of an execution says. */
function about({ start, startedAt }: Running, now: Date): About {
  const { executionId, agentId, agent, trigger, eventId } = start;
  return {
    executionId,
    agentId,
    agent,
    trigger,
    eventId,
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
