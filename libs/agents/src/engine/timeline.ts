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
