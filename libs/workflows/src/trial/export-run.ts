import type { RunDetails, ShownStep } from '#libs/events/src/shapes/run-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { isObject } from '#libs/kernel/src/json.js';
import { writeYaml } from '#libs/yaml/src/write-yaml.js';

import { parseWorkflow } from '../language/reading/parse-workflow.js';
import { allSteps, isMockable } from '../steps/registry.js';
import type { StepLibrary } from '../steps/step-library.js';
import { stepsOf } from './play-test.js';
import { runTests } from './run-tests.js';
import { formatSpan } from './spans.js';
import type { Mock, TestCase } from './test-shape.js';

/** A run as it was recorded. */
export interface ExportedRun {
  readonly run: RunDetails;
  /** The text of its version. */
  readonly source: string;
  /** The event that started it. */
  readonly event?: {
    readonly id: string;
    readonly type: string;
    readonly source: string;
    readonly subject: string;
    readonly data: object;
  };
  readonly retrySchedule?: readonly string[];
}

/**
 * A test file with one case: the run starts as it did, steps with effects answer as they did, and it must end as it did.
 * The case is played before it is given out. What a test cannot repeat, such as the hash of the version in an output or the
 * order of steps that ended at the same moment, is left out of `expect`.
 * @returns the text, and what was left out: `outputs.version`.
 * @throws Rejected where the run cannot be played again.
 */
export function exportRun(exported: ExportedRun, library: StepLibrary): { text: string; leftOut: readonly string[] } {
  refuseUnplayable(exported.run);
  const test = caseOf(exported, library);
  const leftOut: string[] = [];
  for (;;) {
    const text = writeYaml({ tests: [test] });
    const played = runTests(exported.source, text, library);
    if (!played.ok)
      throw new Rejected('conflict', 'export.not_playable', played.problems.map(({ detail }) => detail).join(' '));
    const failures = played.results[0]!.failures;
    if (failures.length === 0) return { text, leftOut };
    const unlike = failures.flatMap(({ what }) => /^expect\.(outputs\.[^.]+|steps)/.exec(what)?.[1] ?? []);
    if (unlike.length !== failures.length)
      throw new Rejected(
        'conflict',
        'export.differs',
        `Played again, the run is another: ${failures.map(({ what, seen }) => `${what}${seen === undefined ? '' : ` is ${seen}`}`).join('; ')}`,
      );
    for (const part of new Set(unlike)) {
      if (part === 'steps') delete test.expect.steps;
      else delete test.expect.outputs![part.slice('outputs.'.length)];
      leftOut.push(part);
    }
  }
}

function refuseUnplayable({ id, status, retries = [], timeline }: RunDetails): void {
  const why =
    status !== 'completed' && status !== 'failed'
      ? `it is ${status}; only a completed or failed run can be exported`
      : retries.length > 0 || timeline.some(({ reusedFrom }) => reusedFrom !== undefined)
        ? 'a person let it go on from a step; restart it from the beginning, and export the new run'
        : undefined;
  if (why !== undefined)
    throw new Rejected('conflict', 'export.not_playable', `The run ${id} cannot become a test: ${why}.`);
}

type Case = { -readonly [Key in keyof TestCase]: TestCase[Key] };

function caseOf({ run, source, event, retrySchedule }: ExportedRun, library: StepLibrary): Case {
  const parsed = parseWorkflow(source, library);
  if (!parsed.ok)
    throw new Rejected(
      'conflict',
      'export.not_playable',
      'A step of the workflow is not installed here. Name its plug-in with --plugins.',
    );
  // Values are not known, and must not be found in the answers, which a test would mask.
  const secrets = parsed.definition.secrets.map((name) => [name, `value-of-${name}-in-tests`]);
  const mockable = new Set(
    allSteps(stepsOf(parsed.definition))
      .filter(isMockable)
      .map(({ id }) => id),
  );
  const mocks = run.timeline.filter(({ stepId, status }) => mockable.has(stepId) && status !== 'skipped').map(mockOf);
  const isManual = run.trigger === 'manual' || run.trigger === 'request';
  const { status, error, outputs } = run;
  return {
    name: `goes as ${run.id}`,
    ...(event && { event: startedBy(event) }),
    ...(isManual && { inputs: run.inputs }),
    now: run.startedAt,
    runId: run.id,
    ...(retrySchedule && { retrySchedule: [...retrySchedule] }),
    ...(secrets.length > 0 && { secrets: Object.fromEntries(secrets) as Record<string, string> }),
    ...(mocks.length > 0 && { mocks: Object.fromEntries(mocks) }),
    expect: {
      status: status,
      ...(isObject(outputs) && Object.keys(outputs).length > 0 && { outputs: { ...outputs } }),
      ...(error && { error: { code: error.code, ...(error.path !== undefined && { path: error.path }) } }),
      steps: run.timeline
        .filter(({ path }) => !/[.[]/.test(path))
        .map(({ path: id, status: ended }) => ({ id, status: ended })),
    },
  };
}

/** A tick names its workflow, which is another in a test. */
function startedBy({
  id,
  type,
  source,
  subject,
  data,
}: NonNullable<ExportedRun['event']>): NonNullable<TestCase['event']> {
  if (type !== 'schedule.fired') return { id, type, source, subject, data: { ...data } };
  const { at, late } = data as { at?: unknown; late?: unknown };
  return { id, type, data: { at, ...(late !== undefined && { late }) } };
}

/** What the step answered: one answer for each attempt. */
function mockOf({ path, attempts, status, output, error, startedAt, endedAt }: ShownStep): [string, Mock | Mock[]] {
  const tries = attempts.length > 0 ? attempts : [{ startedAt, endedAt, error, output }];
  const answers = tries.map((attempt, index): Mock => {
    const isLast = index === tries.length - 1;
    const took = Date.parse(attempt.endedAt ?? attempt.startedAt) - Date.parse(attempt.startedAt);
    // Nobody heard the answer of a step that was cancelled: it comes too late in the test as well.
    if (isLast && status === 'cancelled') return { delay: formatSpan(took + 1_000) };
    const delay = took > 0 ? { delay: formatSpan(took) } : {};
    const failed = isLast ? (status === 'failed' ? error : undefined) : attempt.error;
    if (!failed) return { output, ...delay };
    const { type, code, message } = failed;
    const given = isLast ? output : attempt.output;
    const more = given === undefined || given === null ? {} : { output: given };
    return { error: { ...(type && { type }), code, message, ...more, ...(isLast && { retryable: false }) }, ...delay };
  });
  return [path, answers.length === 1 ? answers[0]! : answers];
}
