import { describe, expect, it } from '@jest/globals';

import { BENCHMARKS } from './benchmarks.js';

describe('the benchmarks, at a size that measures nothing', () => {
  it.each(BENCHMARKS.map(({ id, title, run }) => [id, title, run] as const))(
    '%s, %s, ends with all its figures, and its verify pass finds nothing wrong',
    async (_id, _title, run) => {
      const { rows, faults } = await run({ size: 'smoke', peers: false });
      expect(faults).toEqual([]);
      expect(rows.length).toBeGreaterThan(0);
      expect(rows.filter(({ value }) => value === '' || value.includes('NaN'))).toEqual([]);
    },
  );
});
