import { describe, expect, it } from '@jest/globals';
import { IsOptional, validateSync } from 'class-validator';

import { IsTime } from './time.body.js';

class Body {
  @IsOptional()
  @IsTime()
  at?: unknown;
}

const problemsOf = (at: unknown): readonly string[] =>
  validateSync(Object.assign(new Body(), { at })).flatMap(({ constraints }) => Object.values(constraints ?? {}));

describe('a time in a body', () => {
  it.each([undefined, '2026-11-20', '2026-11-20T13:00:00+02:00'])('may be %s', (at) =>
    expect(problemsOf(at)).toEqual([]),
  );

  // Valid in ISO 8601, and no times to JavaScript: they ended in an answer of 500.
  it.each(['2026-W47-5', '2026-324', '2026-11', '2026-11-20T13:00:00', '2026-02-30', 'soon', 1_795_180_455, {}])(
    'may not be %j',
    (at) => expect(problemsOf(at)).toEqual(['must be an RFC 3339 time such as 2026-11-20T13:00:00Z']),
  );
});
