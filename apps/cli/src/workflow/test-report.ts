import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { formatSpan } from '#libs/workflows/src/trial/spans.js';
import type { Failure, TestResult } from '#libs/workflows/src/trial/run-tests.js';

import type { Shell } from '../shell.js';

/** What became of one file of tests. */
export interface FileReport {
  readonly file: string;
  readonly results: readonly TestResult[];
  /** Why none of its tests could run. */
  readonly problems: readonly string[];
}

const isFailed = ({ results, problems }: FileReport): boolean =>
  problems.length > 0 || results.some(({ passed }) => !passed);

/** Shows what became of the tests; the exit code: 1 if one failed. */
export function reportTests(shell: Shell, reports: readonly FileReport[]): number {
  const failed = reports.some(isFailed);
  if (shell.json) shell.print(stringifyJson({ passed: !failed, files: reports }, 2));
  else {
    for (const report of reports)
      if (!shell.quiet || isFailed(report)) linesOf(report, shell.quiet).forEach(shell.print);
    if (!shell.quiet) shell.print(summary(reports));
  }
  return failed ? 1 : 0;
}

function linesOf({ file, results, problems }: FileReport, isQuiet: boolean): readonly string[] {
  return [
    file,
    ...problems.map((problem) => `  ${problem}`),
    ...results
      .filter(({ passed }) => !isQuiet || !passed)
      .flatMap(({ name, passed, failures, virtualMs }) => [
        `  ${passed ? '✓' : '✗'} ${name}${passed ? ` (${formatSpan(virtualMs)})` : ''}`,
        ...failures.flatMap((failure) => failureLines(failure, file).map((line) => `      ${line}`)),
      ]),
  ];
}

/** `deploy.test.yaml:12:7: expect.outputs.status`, and below it what was expected and seen. */
export function failureLines({ what, expected, seen, line, column }: Failure, file: string): readonly string[] {
  const place = `${file}:${line}:${column}: ${what}`;
  return expected === undefined ? [place] : [place, `  expected  ${expected}`, `  seen      ${seen ?? 'nothing'}`];
}

function summary(reports: readonly FileReport[]): string {
  const results = reports.flatMap((report) => report.results);
  const passed = results.filter((result) => result.passed).length;
  const broken = reports.filter(({ problems }) => problems.length > 0).length;
  return [
    `${results.length} ${results.length === 1 ? 'test' : 'tests'}: ${passed} passed, ${results.length - passed} failed.`,
    ...(broken > 0 ? [`${broken} ${broken === 1 ? 'file' : 'files'} could not be tested.`] : []),
  ].join(' ');
}

/** The report that build servers read. */
export function junitOf(reports: readonly FileReport[]): string {
  const suites = reports.map(({ file, results, problems }) => {
    const cases = [
      ...results.map(({ name, failures, virtualMs }) =>
        testCase(
          name,
          file,
          failures.length === 0 ? undefined : failures.flatMap((one) => failureLines(one, file)),
          virtualMs,
        ),
      ),
      ...(problems.length > 0 ? [testCase('can be read', file, problems, 0)] : []),
    ];
    const failures = results.filter(({ passed }) => !passed).length + (problems.length > 0 ? 1 : 0);
    return `  <testsuite name="${escaped(file)}" tests="${cases.length}" failures="${failures}">\n${cases.join('\n')}\n  </testsuite>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join('\n')}\n</testsuites>\n`;
}

function testCase(name: string, file: string, failure: readonly string[] | undefined, virtualMs: number): string {
  const open = `    <testcase name="${escaped(name)}" classname="${escaped(file)}" time="0"`;
  const time = `<property name="virtual-time" value="${formatSpan(virtualMs)}"/>`;
  const properties = `      <properties>${time}</properties>`;
  if (!failure) return `${open}>\n${properties}\n    </testcase>`;
  const [first = ''] = failure;
  return `${open}>\n${properties}\n      <failure message="${escaped(first)}">${escaped(failure.join('\n'))}</failure>\n    </testcase>`;
}

/** XML holds no control characters, not even as references. */
const escaped = (text: string): string =>
  text

    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll('\n', '&#10;');
