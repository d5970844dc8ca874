import { Rejected } from '#libs/kernel/src/errors.js';
import { pointerToken } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';
import type { YamlDocument } from '#libs/yaml/src/read-yaml.js';
import type { SourcePosition, SourceProblem } from '#libs/yaml/src/source-position.js';

import type { Definition } from '../language/definition.js';
import { parseWorkflow } from '../language/reading/parse-workflow.js';
import { StepLibrary } from '../steps/step-library.js';
import { allSteps, isMockable } from '../steps/registry.js';
import { type Beginning, beginningOf } from './beginning.js';
import { judge } from './judge-test.js';
import { playTest, stepsOf } from './play-test.js';
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

const described = (event: TestCase['event']): string =>
  Array.isArray(event)
    ? `all of these ${event.length} events`
    : `this event of the type ${(event as { type: string } | undefined)?.type}`;

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
      what: `No trigger fits ${described(event)}: the run does not start.`,
      ...place(`${pointer}/event`),
    },
  ];
}

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
