import { describe, expect, it } from '@jest/globals';

import { type Rejected } from '#libs/kernel/src/errors.js';
import { parseAsWritten, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { testSteps } from '../../testing/library.js';
import { inputsOf, type InputSpec, problemOfInput } from './inputs.js';
import { parseWorkflow } from './reading/parse-workflow.js';

const declared: Record<string, InputSpec> = {
  where: { type: 'select', options: ['staging', 'production'], default: 'staging' },
  count: { type: 'number' },
  loud: { type: 'boolean', default: false },
  who: { type: 'string', required: true },
};
const problemsOf = (given: Record<string, unknown>) => {
  try {
    inputsOf(declared, given);
    return [];
  } catch (error) {
    return (error as Rejected).problems.map(({ pointer, detail }) => `${pointer}: ${detail}`);
  }
};

describe('inputs', () => {
  it('are what was given, and defaults for the rest', () => {
    expect(inputsOf(declared, { who: 'you', loud: true })).toEqual({
      where: 'staging',
      count: null,
      loud: true,
      who: 'you',
    });
  });

  it.each([
    [{}, ['/inputs/who: Must be given: this input is required.']],
    [{ who: null }, ['/inputs/who: Must be given: this input is required.']],
    [{ who: 1 }, ['/inputs/who: Must be a string.']],
    [{ who: 'x', count: '1' }, ['/inputs/count: Must be a number.']],
    [{ who: 'x', loud: 'yes' }, ['/inputs/loud: Must be a boolean.']],
    [{ who: 'x', where: 'moon' }, ['/inputs/where: Must be one of staging, production.']],
    [
      { who: 'x', wher: 'staging' },
      ['/inputs/wher: There is no input "wher". Did you mean "where"? Inputs: where, count, loud, who.'],
    ],
  ])('%j is refused with every reason', (given, problems) => {
    expect(problemsOf(given)).toEqual(problems);
  });

  it.each<[InputSpec, unknown, string | undefined]>([
    [{ type: 'list' }, [1, { a: 2 }], undefined],
    [{ type: 'list' }, '[1]', 'Must be a list.'],
    [{ type: 'list', min: 1, max: 2 }, [], 'Must have at least 1 entries.'],
    [{ type: 'list', min: 1, max: 2 }, [1, 2, 3], 'Must have at most 2 entries.'],
    [{ type: 'object' }, { a: [1] }, undefined],
    [{ type: 'object' }, [], 'Must be an object.'],
    [{ type: 'object' }, '{}', 'Must be an object.'],
    [{ type: 'number', min: -1, max: 1.5 }, -1, undefined],
    [{ type: 'number', min: -1, max: 1.5 }, 1.6, 'Must be at most 1.5.'],
    [{ type: 'number', min: -1 }, parseAsWritten('-99999999999999999999'), 'Must be at least -1.'],
    [{ type: 'string', min: 2 }, 'a', 'Must have at least 2 characters.'],
    [{ type: 'string', pattern: '^v[0-9]+$' }, 'v12', undefined],
    [{ type: 'string', pattern: '^v[0-9]+$' }, 'v12x', 'Must match ^v[0-9]+$.'],
    [{ type: 'string', pattern: '(a+)+$' }, 'a'.repeat(10_001), 'Must have at most 10000 characters.'],
  ])('%j takes %j, or says why not', (spec, value, problem) => {
    expect(problemOfInput(spec, value)).toBe(problem);
  });

  it.each<[object, string, string]>([
    [{ type: 'number', pattern: 'x' }, '/pattern', '"pattern" must be used with string only.'],
    [{ type: 'string', pattern: '(' }, '/pattern', 'Must be a regular expression'],
    [{ type: 'string', pattern: '(?=x)' }, '/pattern', 'Must be a regular expression'],
    [{ type: 'boolean', min: 1 }, '/min', '"min" must be used with number, string or list only.'],
    [{ type: 'list', max: -1 }, '/max', 'Must be a whole number from 0'],
    [{ type: 'number', min: 2, max: 1 }, '/max', 'Must not be less than "min"'],
    [{ type: 'object', default: [1] }, '/default', 'Must be an object.'],
    [{ type: 'list', default: [1, 2], max: 1 }, '/default', 'Must have at most 1 entries.'],
    [{ type: 'list', options: ['a'] }, '', 'no other type may have them'],
  ])('declared as %j is refused at %s', (spec, at, detail) => {
    const source = stringifyJson({
      name: 'x',
      triggers: [{ type: 'manual', inputs: { it: spec } }],
      steps: [{ wait: { for: '1s' } }],
    });
    const parsed = parseWorkflow(source, testSteps);
    expect(parsed.ok ? [] : parsed.problems).toMatchObject([
      { pointer: `/triggers/0/inputs/it${at}`, detail: expect.stringContaining(detail), line: 1 },
    ]);
  });

  it('are taken as they are where none are declared', () => {
    expect(inputsOf(undefined, { any: [1] })).toEqual({ any: [1] });
  });
});
