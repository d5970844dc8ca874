import type { RunDetails, ShownStep } from '#libs/events/src/shapes/run-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { isObject } from '#libs/kernel/src/json.js';
import { writeYaml } from '#libs/yaml/src/write-yaml.js';

import type { Definition, Step } from '../language/definition.js';
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
 * order of steps that ended at the same moment, is left out of `expect`. Comments at the top of the file say what was left
 * out, and what people did to the run that a test cannot do.
 * @returns the text, and what was left out: `outputs.version`.
 * @throws Rejected where the run cannot be played again.
 */
export function exportRun(exported: ExportedRun, library: StepLibrary): { text: string; leftOut: readonly string[] } {
  const { run, source } = exported;
  if (!EXPORTABLE.includes(run.status))
    throw new Rejected(
      'conflict',
      'export.not_playable',
      `The run ${run.id} cannot become a test: it is ${run.status}. Export it when it has completed, failed or been cancelled.`,
    );
  const test = caseOf(exported, library);
  const leftOut: string[] = [];
  for (;;) {
    const text = writeYaml({ tests: [test] });
    const played = runTests(source, text, library);
    if (!played.ok)
      throw new Rejected('conflict', 'export.not_playable', played.problems.map(({ detail }) => detail).join(' '));
    const failures = played.results[0]!.failures;
    if (failures.length === 0) return { text: remarks(run, leftOut) + text, leftOut };
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

const EXPORTABLE: readonly string[] = ['completed', 'failed', 'cancelled'];

/** Comments on what the test does not do. */
function remarks({ retries = [], pauses = [], timeline }: RunDetails, leftOut: readonly string[]): string {
  const reused = timeline.filter(({ reusedFrom }) => reusedFrom !== undefined);
  return [
    ...retries.map(
      ({ at, by, version }) =>
        `The run failed, and ${by} retried it at ${at}${version === undefined ? '' : ` on version ${version}`}. The steps that were retried answer as after the last retry.`,
    ),
    ...(reused.length === 0
      ? []
      : [
          `The run took over the results of ${reused.map(({ path }) => path).join(', ')} from ${reused[0]!.reusedFrom}. In the test these steps run.`,
        ]),
    ...pauses.map(({ at, by = 'the engine' }) => `The run was paused by ${by} at ${at}. The test does not pause.`),
    ...(leftOut.length === 0 ? [] : [`Not expected, because a test run has other values: ${leftOut.join(', ')}.`]),
  ]
    .map((line) => `# ${line.replace(/\s+/g, ' ')}\n`)
    .join('');
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
  const { definition } = parsed;
  // Values are not known, and must not be found in the answers, which a test would mask.
  const secrets = definition.secrets.map((name) => [name, `value-of-${name}-in-tests`]);
  const mockable = idsOf(allSteps(stepsOf(definition)).filter(isMockable));
  const timeline = lastPass(run, definition);
  const cancelledMs = cancelledAfter(run, definition);
  const mocks = timeline
    .filter(({ stepId, status }) => mockable.has(stepId) && status !== 'skipped')
    .map((step) => mockOf(step, cancelledMs));
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
    ...(cancelledMs !== undefined && { cancelAt: formatSpan(cancelledMs) }),
    expect: {
      status,
      ...(isObject(outputs) && Object.keys(outputs).length > 0 && { outputs: { ...outputs } }),
      ...(error && { error: { code: error.code, ...(error.path !== undefined && { path: error.path }) } }),
      steps: timeline
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

const idsOf = (steps: readonly Step[]): ReadonlySet<string> => new Set(steps.map(({ id }) => id));

/** The steps as they went after the last retry, with what was not retried. */
function lastPass({ retries = [], timeline, status }: RunDetails, { onFailure }: Definition): readonly ShownStep[] {
  const since = retries.at(-1)?.at;
  if (since === undefined) return timeline;
  const recovery = idsOf(allSteps(onFailure));
  return timeline
    .filter(({ stepId, startedAt }) => status === 'failed' || startedAt >= since || !recovery.has(stepId))
    .map((step) => ({ ...step, attempts: step.attempts.slice(step.attempts.findLastIndex(isFirst)) }));
}

const isFirst = ({ attempt }: ShownStep['attempts'][number]): boolean => attempt === 1;

/** How long after the start the run was cancelled: the steps that were open then ended with it; those of `finally` followed. */
function cancelledAfter(
  { status, startedAt, endedAt, timeline }: RunDetails,
  definition: Definition,
): number | undefined {
  if (status !== 'cancelled') return undefined;
  const last = idsOf(allSteps(definition.finally?.steps ?? []));
  const open = timeline
    .filter((step) => step.status === 'cancelled' && !last.has(step.stepId))
    .map((step) => Date.parse(step.endedAt!));
  const at = open.length > 0 ? Math.max(...open) : Date.parse(endedAt ?? startedAt);
  return at - Date.parse(startedAt);
}

/**
 * What the step answered: one answer for each attempt.
 * @param cancelledMs when the run was cancelled.
 */
function mockOf(
  { path, attempts, status, output, error, startedAt, endedAt }: ShownStep,
  cancelledMs: number | undefined,
): [string, Mock | Mock[]] {
  const tries = attempts.length > 0 ? attempts : [{ startedAt, endedAt, error, output }];
  const answers = tries.map((attempt, index): Mock => {
    const isLast = index === tries.length - 1;
    const isStopped = isLast && status === 'cancelled' && !attempt.error;
    const took = Date.parse(attempt.endedAt ?? attempt.startedAt) - Date.parse(attempt.startedAt);
    // Nobody heard the answer of a step that was cancelled: it comes too late in the test as well.
    if (isStopped) return { delay: formatSpan(Math.max(took, cancelledMs ?? 0) + 1_000) };
    const delay = took > 0 ? { delay: formatSpan(took) } : {};
    const isEnd = isLast && status !== 'cancelled';
    const failed = isEnd ? (status === 'failed' ? error : undefined) : attempt.error;
    if (!failed) return { output, ...delay };
    const { type, code, message } = failed;
    const given = isEnd ? output : attempt.output;
    const more = given === undefined || given === null ? {} : { output: given };
    return { error: { ...(type && { type }), code, message, ...more, ...(isEnd && { retryable: false }) }, ...delay };
  });
  return [path, answers.length === 1 ? answers[0]! : answers];
}
