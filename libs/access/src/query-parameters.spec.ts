import { describe, expect, it } from '@jest/globals';

import { checkQuery } from './query-parameters.js';

const described = [
  { in: 'query', name: 'status', schema: { enum: ['failed', 'completed'] } },
  { in: 'query', name: 'label.NAME' },
  { in: 'path', name: 'id' },
];
const problems = (query: object): readonly string[] => {
  try {
    checkQuery(query, described);
    return [];
  } catch (error) {
    return (error as { problems: { pointer: string; detail: string }[] }).problems.map(
      ({ pointer, detail }) => `${pointer} ${detail}`,
    );
  }
};

describe('the query of a request', () => {
  it('may have what the route describes, and any member of a family', () => {
    expect(problems({ status: 'failed', 'label.team': 'payments', 'label.a.b': 'c' })).toEqual([]);
  });

  it.each([
    [{ stauts: 'failed' }, '/stauts Unknown query parameter "stauts". Did you mean "status"?'],
    [{ status: 'fialed' }, '/status Must be one of failed, completed.'],
    [{ 'label.': 'x' }, '/label. Unknown query parameter "label."'],
    [{ labels: 'x' }, '/labels Unknown query parameter "labels"'],
    [{ id: 'x' }, '/id Unknown query parameter "id"'],
  ])('is refused with %j', (query, expected) => {
    expect(problems(query)).toEqual([expect.stringContaining(expected)]);
  });
});
