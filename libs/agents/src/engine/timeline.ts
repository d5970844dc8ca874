import type { DataOf } from '#libs/events/src/catalogue.js';
import type { ExecutionError, ExecutionStep } from '#libs/events/src/shapes/agents/execution-shape.js';

import type { Happened } from './execution-state.js';

type Draft = { -readonly [K in keyof ExecutionStep]: ExecutionStep[K] };

/** What an execution did, step by step. Pure and total. */
export function timelineOf(events: readonly Happened[]): readonly ExecutionStep[] {
  const steps: Draft[] = [];
  let runtime = '';
  const begin = (kind: Draft['kind'], name: string, startedAt: string): Draft => {
    const step: Draft = {
      number: steps.length + 1,
      kind,
      name,
      status: 'running',
      startedAt,
      endedAt: null,
      durationMs: null,
    };
    steps.push(step);
    return step;
  };
  const end = (step: Draft | undefined, status: Draft['status'], at: string, error?: ExecutionError): void => {
    if (!step || step.endedAt !== null) return;
    step.status = status;
    step.endedAt = at;
    step.durationMs = Math.max(0, Date.parse(at) - Date.parse(step.startedAt));
    if (error) step.error = error;
  };
  /** The step of a tool that has not ended, or a new one. */
  const toolStep = (tool: string, timestamp: string): Draft => {
    const last = steps.at(-1);
    return last?.kind === 'tool' && last.name === tool && last.endedAt === null ? last : begin('tool', tool, timestamp);
  };
  for (const { type, data, timestamp } of events) {
    const last = steps.at(-1);
    switch (type) {
      case 'agent.started':
        runtime = (data as DataOf<'agent.started'>).runtime;
        break;
      case 'agent.attempt_started':
        begin('call', runtime, timestamp);
        break;
      case 'agent.attempt_failed': {
        const { error, retryAt } = data as DataOf<'agent.attempt_failed'>;
        end(last, 'failed', timestamp, error);
        if (last) last.retryAt = retryAt;
        break;
      }
      case 'agent.accepted':
        (last ?? begin('call', runtime, timestamp)).status = 'waiting';
        break;
      case 'agent.model_called':
        begin('model', (data as DataOf<'agent.model_called'>).model, timestamp);
        break;
      case 'agent.model_answered':
        end(last, 'completed', timestamp);
        if (last) Object.assign(last, { usage: (data as DataOf<'agent.model_answered'>).usage });
        break;
      case 'agent.tool_called': {
        const { tool, arguments: input } = data as DataOf<'agent.tool_called'>;
        Object.assign(toolStep(tool, timestamp), { input, status: 'running' });
        break;
      }
      case 'agent.tool_answered': {
        const { tool, output, isError } = data as DataOf<'agent.tool_answered'>;
        const step = toolStep(tool, timestamp);
        step.output = output;
        end(step, isError ? 'failed' : 'completed', timestamp);
        break;
      }
      case 'agent.approval_requested': {
        const { tool, arguments: input } = data as DataOf<'agent.approval_requested'>;
        Object.assign(toolStep(tool, timestamp), { input, status: 'waiting_approval' });
        break;
      }
      case 'agent.finished':
        end(last, 'completed', timestamp);
        break;
      case 'agent.failed':
        end(last, 'failed', timestamp, (data as DataOf<'agent.failed'>).error);
        break;
      case 'agent.cancelled':
        end(last, 'failed', timestamp, { code: 'agent.cancelled', message: 'The execution was cancelled.' });
        break;
    }
  }
  return steps;
}
