import type { EventStore } from '#libs/event-store/src/event-store.js';
import type { ExecutionResult, ResultAnswer } from '#libs/events/src/shapes/agents/execution-shape.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { failed, finished } from '../engine/end-drafts.js';
import type { CallbackTokens } from './callback-token.js';
import { appendToExecution, readExecution } from './execution-stream.js';

/**
 * Records the result that an agent delivers later. The token is good for one execution and, since an execution ends once,
 * for one use.
 * @throws Rejected `agent.bad_callback_token`, `agent.execution_ended`
 */
export async function receiveResult(
  { store, clock, tokens }: { store: EventStore; clock: Clock; tokens: CallbackTokens },
  { agentId, executionId, token }: { agentId: string; executionId: string; token: string },
  read: () => ExecutionResult,
): Promise<ResultAnswer> {
  const { events } = await readExecution(store, executionId);
  const started = events.find((event) => event.is('agent.started'));
  const orgId = started?.metadata.orgId ?? '';
  // The same work for an execution that does not exist.
  const isGenuine = await tokens.isOf(orgId, executionId, token);
  const start = started?.is('agent.started') ? started.data : undefined;
  if (!isGenuine || start?.agentId !== agentId || start.runtime !== 'http') throw badToken();
  const { status, output, error: { code = 'agent.failed', message = 'The agent failed.' } = {} } = read();
  const error = { code, message };
  crashPoint('agents.before-result');
  await appendToExecution(
    store,
    { executionId, request: start.request },
    () => clock.now(),
    ({ state }, now) => {
      if (state.kind !== 'running') throw ended(executionId);
      return [status === 'completed' ? finished(state, output, now) : failed(state, error, now, output)];
    },
  );
  crashPoint('agents.after-result');
  return { executionId, status };
}

const badToken = (): Rejected =>
  new Rejected(
    'unauthenticated',
    'agent.bad_callback_token',
    'Send the callbackToken of the request to the agent: Authorization: Bearer mrc_…',
  );

const ended = (executionId: string): Rejected =>
  new Rejected(
    'conflict',
    'agent.execution_ended',
    `The execution ${executionId} has ended: the result changes nothing.`,
  );
