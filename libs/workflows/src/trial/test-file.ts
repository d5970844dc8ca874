import { readYaml, type YamlDocument } from '#libs/yaml/src/read-yaml.js';
import type { SourceProblem } from '#libs/yaml/src/source-position.js';

import { inOrder, SourceProblems } from '../language/source-problems.js';
import { type TestCase, TestFileShape } from './test-shape.js';

const LIMITS = { maxBytes: 2 * 1024 * 1024, maxDepth: 64, maxValues: 200_000 };

export type ReadTests =
  | { readonly ok: true; readonly tests: readonly TestCase[]; readonly document: YamlDocument }
  | { readonly ok: false; readonly problems: readonly SourceProblem[] };

/** The tests in the text of a `name.test.yaml`, or everything that is wrong with it. */
export function readTests(source: string): ReadTests {
  const read = readYaml(source, LIMITS);
  if ('problem' in read) return { ok: false, problems: [read.problem] };
  const { document } = read;
  const problems = new SourceProblems(document);
  if (problems.fits(TestFileShape, document.value ?? {}, '')) {
    const { tests } = document.value as unknown as { tests: TestCase[] };
    for (const [index, test] of tests.entries()) checkMocks(test, `/tests/${index}`, problems);
    if (problems.found.length === 0) return { ok: true, tests, document };
  }
  return { ok: false, problems: inOrder(problems.found) };
}

function checkMocks({ mocks = {} }: TestCase, pointer: string, problems: SourceProblems): void {
  for (const [id, mock] of Object.entries(mocks))
    for (const [index, { output, error }] of [mock].flat().entries())
      if (output !== undefined && error !== undefined)
        problems.add(
          `${pointer}/mocks/${id}${Array.isArray(mock) ? `/${index}` : ''}`,
          'workflow.bad_value',
          'A mock must have "output" or "error", not both.',
        );
}
