import { expect, it } from '@jest/globals';

import { fail } from './fail.step.js';

it('fails with the error that is given, which no retry mends', () => {
  const given = { code: 'order.not_paid', message: 'The order is not paid.', type: 'validation', output: { order: 7 } };
  expect(() => fail.run({ ...given, type: 'validation' })).toThrow(
    expect.objectContaining({ ...given, retryable: false }),
  );
  expect(() => fail.run({ code: 'x', message: 'y' })).toThrow(
    expect.objectContaining({ type: 'runtime', output: null }),
  );
});
