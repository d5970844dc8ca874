import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { ShownStep } from '#libs/events/src/shapes/run-shape.js';

import type { Definition } from '../language/definition.js';
import { timelineOf } from '../run/shown/timeline.js';
import { type Difference, differences, missingInOrder } from './differences.js';
import type { Played } from './play-test.js';
import { formatSpan, parseSpan } from './spans.js';
import type { Expected } from './test-shape.js';

/** Where a run that was played differs from what its test expects. */
export function judge(
  expected: Expected,
  played: Played,
  definition: Definition,
  pointer: string,
): readonly Difference[] {
  const { run, events, elapsed } = played;
  const last = (type: string): Record<string, unknown> => events.findLast((event) => event.type === type)?.data ?? {};
  const steps = timelineOf(events, definition);
  const { status, outputs, error, time } = expected;
  const at = (key: keyof Expected): string => `${pointer}/${key}`;
  const found = [
    ...differences(status, run.status, at('status')),
    ...differences(outputs, last('workflow.completed')['outputs'], at('outputs')),
    ...differences(error, last('workflow.failed')['error'], at('error')),
    ...missingInOrder(
      (expected.steps ?? []).map(withoutPath),
      steps,
      (step) => seenStep(step),
      (step) => `${step.path} ${step.status}`,
      at('steps'),
      expected.only,
    ),
    ...missingInOrder(
      expected.events ?? [],
      events,
      ({ type, data, metadata: { subject, source } }) => ({ type, data, subject, source }),
      ({ type }) => type,
      at('events'),
    ),
  ];
  if (time !== undefined && parseSpan(time) !== elapsed)
    found.push({ pointer: at('time'), expected: time, seen: formatSpan(elapsed) });
  return found.length === 0 ? [] : [...found, ...whyItFailed(expected, events, pointer)];
}

type ExpectedStep = NonNullable<Expected['steps']>[number];

/** A step that is named by its path is found by it. */
const withoutPath = ({ id, ...more }: ExpectedStep): object =>
  /[.[]/.test(id) ? { path: id, ...more } : { id, ...more };

const seenStep = ({ path, stepId, status, input, output, error, attempts }: ShownStep) => ({
  id: stepId,
  path,
  status,
  with: input,
  output,
  error,
  attempts: Math.max(1, attempts.length),
});

/** A run that failed against expectation says why: that is what people look for first. */
function whyItFailed(
  { status, error }: Expected,
  events: readonly RecordedEvent[],
  pointer: string,
): readonly Difference[] {
  const failed = events.findLast((event) => event.is('workflow.failed'));
  if (!failed?.is('workflow.failed') || status === 'failed' || error !== undefined) return [];
  const { code, message, path } = failed.data.error;
  const place = path === undefined ? '' : ` in ${path}`;
  return [{ pointer, expected: 'no failure', seen: `${code}${place}: ${message}` }];
}
