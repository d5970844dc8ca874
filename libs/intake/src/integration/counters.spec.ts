import { describe, expect, it } from '@jest/globals';

import { Counters } from './counters.js';

describe('the counters', () => {
  it('give what has come together, once', () => {
    const counters = new Counters();
    counters.count('int_1', 'received', 1);
    counters.count('int_1', 'received', 3);
    counters.count('int_1', 'refused.signature_mismatch', 2);
    counters.count('int_2', 'received', 4);
    expect(counters.take()).toEqual([
      { integrationId: 'int_1', counter: 'received', count: 2, at: new Date(3) },
      { integrationId: 'int_1', counter: 'refused.signature_mismatch', count: 1, at: new Date(2) },
      { integrationId: 'int_2', counter: 'received', count: 1, at: new Date(4) },
    ]);
    expect(counters.take()).toEqual([]);
  });

  it('take back what could not be written, beside what was counted in the meantime', () => {
    const counters = new Counters();
    for (let n = 1; n <= 5; n++) counters.count('int_1', 'received', n);
    const taken = counters.take();
    counters.count('int_1', 'received', 9);
    counters.giveBack(taken);
    expect(counters.take()).toEqual([{ integrationId: 'int_1', counter: 'received', count: 6, at: new Date(9) }]);
  });
});
