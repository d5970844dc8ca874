import { readdirSync, readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { builtInSteps } from '#libs/steps/src/built-in.js';
import { parseWorkflow } from '#libs/workflows/src/language/reading/parse-workflow.js';
import { runTests, StepLibrary } from '#libs/workflows/src/trial/run-tests.js';

const folder = new URL('../../docs/workflows/recipes/', import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, folder), 'utf8');
const recipes = readdirSync(folder)
  .filter((name) => name.endsWith('.yaml') && !name.endsWith('.test.yaml'))
  .map((name) => name.replace(/\.yaml$/, ''));
const library = new StepLibrary(builtInSteps);

describe('the recipes of docs/workflows', () => {
  it('are at least ten, each with a line in the list', () => {
    expect(recipes.length).toBeGreaterThanOrEqual(10);
    const listed = [...read('README.md').matchAll(/^\| \[([\w-]+)\]\(\1\.yaml\)/gm)].map(([, name]) => name);
    expect(listed.sort()).toEqual([...recipes].sort());
  });

  it.each(recipes)('%s can be saved without a warning', (name) => {
    const parsed = parseWorkflow(read(`${name}.yaml`), library);
    expect(parsed).toMatchObject({ ok: true, definition: { name } });
    expect(parsed.ok && parsed.warnings()).toEqual([]);
  });

  it.each(recipes)('%s passes its tests', (name) => {
    const run = runTests(read(`${name}.yaml`), read(`${name}.test.yaml`), library);
    const failures = run.ok ? run.results.flatMap((result) => result.failures) : run.problems;
    expect(failures).toEqual([]);
  });
});
