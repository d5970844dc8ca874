import { catalogue, isEventType } from '#libs/events/src/catalogue.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { emittable } from '../language/engine-steps.js';
import { workflowProblems } from '../language/report.js';

export interface Emitted {
  readonly type: string;
  readonly subject: string | undefined;
  readonly data: object;
}

/** The event that an `emit` appends. @throws StepError if there is no such type, or `data` does not fit it. */
export function emitted(input: Record<string, unknown>): Emitted {
  const type = String(input['type']);
  const allowed = emittable();
  if (!isEventType(type) || !allowed.includes(type))
    throw new StepError({
      code: 'emit.type',
      message: `"${type}" cannot be emitted. Types that may be emitted: ${allowed.join(', ')}.`,
      retryable: false,
    });
  const data = withoutAbsent((input['data'] ?? {}) as Record<string, unknown>, catalogue[type].data.required ?? []);
  const [problem] = workflowProblems(catalogue[type].data, data, '/data');
  if (problem)
    throw new StepError({
      code: 'emit.data',
      message: `The data does not fit ${type}: ${problem.pointer}: ${problem.detail}`,
      retryable: false,
    });
  return { type, subject: typeof input['subject'] === 'string' ? input['subject'] : undefined, data };
}

/** What an expression did not find is null; in events it is absent. */
const withoutAbsent = (data: Record<string, unknown>, required: readonly string[]): object =>
  Object.fromEntries(Object.entries(data).filter(([key, value]) => value !== null || required.includes(key)));
