import { describe, expect, it } from '@jest/globals';

import { type Rejected } from '#libs/kernel/src/errors.js';

import { inputsOf, type InputSpec } from './inputs.js';

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

  it('are taken as they are where none are declared', () => {
    expect(inputsOf(undefined, { any: [1] })).toEqual({ any: [1] });
  });
});
