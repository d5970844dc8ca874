import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { FakeShell } from '../../testing/fake-shell.js';
import { testWorkflows } from './workflow-test.js';

const WORKFLOW = `name: hello
triggers: [{ type: manual, inputs: { who: { type: string, default: world } } }]
steps:
  - { id: ask, uses: http, with: { url: 'https://example.com/\${{ inputs.who }}' } }
  - { id: nap, wait: { for: 1d } }
outputs: { said: '\${{ steps.ask.output.body }}' }
`;
const test = (name: string, said: string) => `  - name: ${name}
    mocks: { ask: { output: { body: hi } } }
    expect: { outputs: { said: ${said} }, time: 1d }
`;

let folder: string;
const file = (name: string): string => join(folder, name);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-test-'));
  await mkdir(file('sub'));
  await writeFile(file('sub/hello.yaml'), WORKFLOW);
  await writeFile(file('sub/hello.test.yaml'), `tests:\n${test('says hi', 'hi')}`);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('workflow test', () => {
  it('runs all tests below a folder, or those of one workflow', async () => {
    for (const path of ['', 'sub/hello.yaml', 'sub/hello.test.yaml']) {
      const shell = new FakeShell();
      expect(await testWorkflows(shell, [file(path)], {}, {})).toBe(0);
      expect(shell.out).toEqual([file('sub/hello.test.yaml'), '  ✓ says hi (24h)', '1 test: 1 passed, 0 failed.']);
      expect(shell.asked).toEqual([]);
    }
  });

  it('shows what was expected and seen, ends with 1, and says the same as JSON and for build servers', async () => {
    await writeFile(file('sub/hello.test.yaml'), `tests:\n${test('says hi', 'hi')}${test('says <ho>', 'ho')}`);
    const shell = new FakeShell();
    expect(await testWorkflows(shell, [folder], { junit: file('report.xml') }, {})).toBe(1);
    expect(shell.out).toEqual([
      file('sub/hello.test.yaml'),
      '  ✓ says hi (24h)',
      '  ✗ says <ho>',
      `      ${file('sub/hello.test.yaml')}:7:26: expect.outputs.said`,
      '        expected  "ho"',
      '        seen      "hi"',
      '2 tests: 1 passed, 1 failed.',
    ]);
    const xml = await readFile(file('report.xml'), 'utf8');
    expect(xml).toContain('tests="2" failures="1"');
    expect(xml).toContain('<testcase name="says &lt;ho&gt;"');
    expect(xml).toContain('expected  &quot;ho&quot;');
    shell.out.length = 0;
    shell.json = true;
    expect(await testWorkflows(shell, [folder], {}, {})).toBe(1);
    expect(JSON.parse(shell.out.join(''))).toMatchObject({
      passed: false,
      files: [
        { results: [{ passed: true, virtualMs: 86_400_000 }, { failures: [{ expected: '"ho"', seen: '"hi"' }] }] },
      ],
    });
    shell.out.length = 0;
    Object.assign(shell, { json: false, quiet: true });
    await testWorkflows(shell, [folder], {}, {});
    expect(shell.out[1]).toBe('  ✗ says <ho>');
  });

  it('names the place of what is wrong in the workflow or in the tests', async () => {
    await writeFile(file('sub/hello.yaml'), WORKFLOW.replace('uses: http', 'uses: htp'));
    await writeFile(file('odd.yaml'), WORKFLOW);
    await writeFile(file('odd.test.yaml'), 'tests:\n  - nme: x\n    expect: { time: 1d }\n');
    const shell = new FakeShell();
    expect(await testWorkflows(shell, [folder], {}, {})).toBe(1);
    expect(shell.out.join('\n')).toMatch(/odd\.test\.yaml:2:5: .*Did you mean "name"/);
    expect(shell.out.join('\n')).toMatch(/sub\/hello\.yaml:4:\d+: .*htp/);
    expect(shell.out.at(-1)).toBe('0 tests: 0 passed, 0 failed. 2 files could not be tested.');
  });

  it.each([
    ['nowhere', 'There is no file or folder'],
    ['alone.yaml', 'There are no tests of'],
    ['lost.test.yaml', 'has no workflow beside it'],
    ['empty', 'There are no tests in'],
  ])('says what is missing: %s', async (path, message) => {
    await mkdir(file('empty'));
    await writeFile(file('alone.yaml'), WORKFLOW);
    await writeFile(file('lost.test.yaml'), `tests:\n${test('x', 'hi')}`);
    await expect(testWorkflows(new FakeShell(), [file(path)], {}, {})).rejects.toThrow(message);
  });

  it('runs again when a file changes, until it is interrupted', async () => {
    const shell = new FakeShell();
    const code = testWorkflows(shell, [folder], { watch: true }, {});
    await waitFor('the first run', () => Promise.resolve(shell.notes.length === 1));
    await writeFile(file('sub/hello.test.yaml'), `tests:\n${test('says ho', 'ho')}`);
    await waitFor('a second run', () => Promise.resolve(shell.notes.length > 1));
    expect(shell.out).toContain('  ✗ says ho');
    shell.interrupt.abort();
    expect(await code).toBe(1);
  });
});
