import { Type } from '@sinclair/typebox';

import type { DataOf, EventType } from '#libs/events/src/catalogue.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { type ErrorType, StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { NamedDefinition } from '../../language/definition.js';
import { ATTEMPT_FAILED } from '../kind/attempt-failed.js';
import { AWAITING } from '../kind/awaiting.js';
import { failure } from '../kind/step-failure.js';
import type { NamedKind, RequestOutcome, StepDecision } from '../kind/step-kind.js';
import { filledInput } from '../kind/step-input.js';
import { failAttempt } from './retry.js';

/** A kind that asks another stage for something. */
export interface RequestKind<Request extends EventType, Outcome extends EventType> extends NamedDefinition {
  /** The event that asks. */
  readonly request: Request;
  /** The data of the request must have what may be a secret at the same place as `with`. */
  readonly takesSecrets?: true;
  /** Why another attempt cannot help, whatever the outcome is. Absent: `retry` requests again where a failure may pass. */
  readonly noRetry?: string;
  /** What the schema of `with` cannot say. */
  readonly check?: NamedKind['check'];
  /** @throws StepError where nothing can be requested. */
  requestData(
    input: Record<string, unknown>,
    decision: Pick<StepDecision, 'runId' | 'start' | 'path'>,
  ): DataOf<Request>;
  /** Types of the answer, which names the request as its cause. The first one counts. */
  readonly outcomes: readonly Outcome[];
  /** `steps.<id>.output`. @throws StepError where the outcome fails the step. */
  output(outcome: RequestOutcome<Outcome>): unknown;
}

/** A property of `with`: whether the step goes on without the outcome. */
export const Detached = Type.Optional(
  Type.Boolean({ description: '`true`: go on at once, without the outcome. The output is `{ requestId }`.' }),
);

/** Whether a failure in another stage may pass. What was requested wrongly stays wrong. */
export const mayPass = (code: string, type: ErrorType = failure(code, '').type ?? 'runtime'): boolean =>
  type === 'timeout' || type === 'communication' || type === 'runtime';

/** Who asks, and because of which event. */
export const requestedBy = ({ runId, path, start: { event } }: Pick<StepDecision, 'runId' | 'start' | 'path'>) => ({
  requestedBy: { kind: 'run' as const, runId, stepId: path },
  eventId: event?.id ?? '',
  ...(event && { event: { stream: event.stream, revision: event.revision } }),
});

/**
 * Makes a step of it that requests and waits: the request and the wait are one append, the request's id follows from the
 * run, the step and the attempt, and the outcome is found by it, whatever restarts happen in between.
 */
export function requestStep<Request extends EventType, Outcome extends EventType>({
  request,
  requestData,
  outcomes,
  output,
  ...definition
}: RequestKind<Request, Outcome>): NamedKind {
  const fail: NamedKind['fail'] = (step, decision, error) =>
    failAttempt(definition.noRetry === undefined ? step : { ...step, retry: undefined }, decision, error);
  const decide: NamedKind['decide'] = (step, decision) => {
    if (decision.open?.timer && !decision.isDue('retry')) return 'open';
    let requestId = decision.open?.awaiting[0];
    if (requestId === undefined) {
      const { input, secrets } = filledInput(step, decision.scope());
      requestId = decision.idOf('run-request');
      const data = { ...requestData(input, decision), ...(secrets.length > 0 && { secrets }) };
      decision.append({ type: request, data, id: requestId });
      if (input['detached'] === true) return decision.completed({ requestId: eventIdOf(requestId) });
      const attempt = step.retry && { attempt: decision.open?.attempt ?? 1 };
      decision.record('run.step_awaiting', { requestId, input, ...attempt });
    }
    const outcome = decision.outcomeOf(requestId);
    if (!outcome) return 'open';
    try {
      return decision.completed(output(outcome as RequestOutcome<Outcome>));
    } catch (error) {
      if (!(error instanceof StepError)) throw error;
      const progress = fail(step, decision, error);
      return progress === 'open' ? decide(step, decision) : progress;
    }
  };
  return {
    ...definition,
    form: 'named',
    pace: 'lasting',
    request,
    appends: [request],
    outcomes,
    events: { ...AWAITING, ...ATTEMPT_FAILED },
    decide,
    fail,
  };
}
