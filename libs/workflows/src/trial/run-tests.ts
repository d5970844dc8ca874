import type { PlatformEvent } from '#libs/events/src/envelope.js';
import { derivedId } from '#libs/kernel/src/ids.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { pointerToken } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';
import type { YamlDocument } from '#libs/yaml/src/read-yaml.js';
import type { SourcePosition, SourceProblem } from '#libs/yaml/src/source-position.js';

import type { Definition, Trigger } from '../language/definition.js';
import { declaredInputs, defaultInputs, inputsOf } from '../language/inputs.js';
import { parseWorkflow } from '../language/reading/parse-workflow.js';
import { StepLibrary } from '../steps/step-library.js';
import { allSteps, isMockable } from '../steps/registry.js';
import { judge as judgeTrigger, listensTo } from '../triggers/registry.js';
import { isSchedule } from '../triggers/schedule.trigger.js';
import { judge } from './judge-test.js';
import { type Beginning, playTest, stepsOf, WORKFLOW_ID } from './play-test.js';
import { readTests } from './test-file.js';
import type { TestCase } from './test-shape.js';

export { StepLibrary };

/** Why a test failed, with its place in the test file. */
export interface Failure extends SourcePosition {
  /** What is wrong, in a sentence; or the part of `expect` that is not so. */
  readonly what: string;
  readonly expected?: string;
  readonly seen?: string;
}

export interface TestResult {
  readonly name: string;
  readonly passed: boolean;
  readonly failures: readonly Failure[];
  /** Virtual milliseconds. */
  readonly virtualMs: number;
}

/** Results, or what is wrong with one of the two texts so that no test can run. */
export type TestsRun =
  | { readonly ok: true; readonly workflow: string; readonly results: readonly TestResult[] }
  | { readonly ok: false; readonly in: 'workflow' | 'tests'; readonly problems: readonly SourceProblem[] };

const START = '2026-01-01T00:00:00.000Z';

/** Runs the tests of a workflow, each from the start to the end in virtual time. Pure: nothing leaves the process. */
export function runTests(workflow: string, tests: string, library: StepLibrary): TestsRun {
  const parsed = parseWorkflow(workflow, library);
  if (!parsed.ok) return { ok: false, in: 'workflow', problems: parsed.problems };
  const read = readTests(tests);
  if (!read.ok) return { ok: false, in: 'tests', problems: read.problems };
  const { definition } = parsed;
  const results = read.tests.map((test, index) => runTest(definition, test, `/tests/${index}`, read.document));
  return { ok: true, workflow: definition.name, results };
}

function runTest(definition: Definition, test: TestCase, pointer: string, document: YamlDocument): TestResult {
  const place = (at: string): SourcePosition => document.keyPosition(at);
  const { name } = test;
  const failed = (failures: readonly Failure[], virtualMs = 0): TestResult => ({
    name,
    passed: failures.length === 0,
    failures,
    virtualMs,
  });

  const strange = mocksOfNothing(definition, test);
  if (strange.length > 0)
    return failed(strange.map(({ id, what }) => ({ what, ...place(`${pointer}/mocks/${pointerToken(id)}`) })));
  let beginning: Beginning | undefined;
  try {
    beginning = beginningOf(definition, test);
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    const problems = error.problems.length === 0 ? [{ pointer: '', detail: error.message }] : error.problems;
    return failed(problems.map(({ pointer: at, detail }) => ({ what: detail, ...place(`${pointer}${at}`) })));
  }
  if (test.expect.status === 'not_started' || !beginning) return failed(startFailures(test, beginning, place, pointer));

  const played = playTest(definition, test, beginning);
  if (played.unmocked.length > 0)
    return failed(
      played.unmocked.map((id) => ({
        what: `The step "${id}" has an effect and no mock. Say what it answers: mocks: { ${id}: { output: … } }.`,
        ...place(test.mocks ? `${pointer}/mocks` : `${pointer}/name`),
      })),
      played.elapsed,
    );
  const found = judge(test.expect, played, definition, `${pointer}/expect`);
  return failed(
    found.map(({ pointer: at, expected, seen }) => ({
      what: at.slice(pointer.length + 1).replaceAll('/', '.'),
      expected,
      seen,
      ...place(at),
    })),
    played.elapsed,
  );
}

function startFailures(
  { event, expect }: TestCase,
  beginning: Beginning | undefined,
  place: (at: string) => SourcePosition,
  pointer: string,
): readonly Failure[] {
  if (!beginning && expect.status === 'not_started') return [];
  if (beginning)
    return [
      {
        what: 'expect.status',
        expected: '"not_started"',
        seen: 'a trigger fits, and the run starts',
        ...place(`${pointer}/expect/status`),
      },
    ];
  return [
    {
      what: `No trigger fits this event of the type ${event?.type}: the run does not start.`,
      ...place(`${pointer}/event`),
    },
  ];
}

/** How the run begins; `undefined` where no trigger fits the event. @throws Rejected if the inputs are wrong. */
function beginningOf(
  definition: Definition,
  { event: given, inputs, now: at = START }: TestCase,
): Beginning | undefined {
  const now = new Date(at);
  const { triggers } = definition;
  const declared = declaredInputs(definition);
  const isTick = !given && !inputs && !declared && triggers.some(isSchedule);
  const started = isTick ? { type: 'schedule.fired' } : given;
  const event = started && eventOf(started, now, definition);
  if (event && !inputs) {
    const index = triggers.findIndex(
      (trigger) =>
        listensTo(trigger, event.type) &&
        judgeTrigger(trigger, event, { workflowId: WORKFLOW_ID, receiver: 'any' }).kind === 'fits',
    );
    if (index < 0) return undefined;
    return { trigger: { kind: 'event', index }, inputs: defaultInputs(definition), event, now };
  }
  const index = triggers.findIndex((trigger) => trigger.inputs !== undefined);
  const checked = inputsOf(declared, inputs ?? {});
  return { trigger: { kind: event ? 'request' : 'manual', ...(index >= 0 && { index }) }, inputs: checked, event, now };
}

function eventOf(given: NonNullable<TestCase['event']>, now: Date, { name, triggers }: Definition): PlatformEvent {
  const { type, source = sourceIn(triggers, type) ?? 'api', subject = 'test/event' } = given;
  const { id = derivedId('evt', 'test') } = given;
  const timestamp = now.toISOString();
  // A tick names its workflow and its schedule, which a test need not know.
  const trigger = type === 'schedule.fired' ? triggers.find(isSchedule)?.key : undefined;
  const tick = trigger === undefined ? {} : { workflowId: WORKFLOW_ID, workflow: name, trigger, at: timestamp };
  const data = { ...tick, ...given.data } as PlatformEvent['data'];
  return { id, type, source, subject, orgId: 'org_test', timestamp, data };
}

/** The first source that a trigger of the type names without a glob. */
const sourceIn = (triggers: readonly Trigger[], type: string): string | undefined =>
  triggers
    .filter((trigger) => listensTo(trigger, type))
    .flatMap((trigger) => (trigger as { source?: readonly string[] }).source ?? [])
    .find((source) => !source.includes('*'));

/** Mocks of steps that do not exist, or that answer without the world. */
function mocksOfNothing(definition: Definition, { mocks = {} }: TestCase): readonly { id: string; what: string }[] {
  const steps = allSteps(stepsOf(definition));
  const mockable = steps.filter(isMockable).map(({ id }) => id);
  return Object.keys(mocks)
    .filter((id) => !mockable.includes(id.slice(id.lastIndexOf('.') + 1)))
    .map((id) => ({
      id,
      what: steps.some((step) => step.id === id)
        ? `The step "${id}" computes its answer itself: it cannot be mocked.`
        : `There is no step "${id}". ${suggestion(id, mockable)}Steps with effects: ${mockable.join(', ') || 'none'}.`,
    }));
}
