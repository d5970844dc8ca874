import { describe, expect, it } from '@jest/globals';

import { chaos } from './chaos.js';

describe('a server that is killed again and again under load', () => {
  it('loses nothing that it acknowledged and does nothing twice, over ten deaths', async () => {
    const lines: string[] = [];
    const result = await chaos({
      rounds: 10,
      lifeMs: 1500,
      lanes: 4,
      seed: 20_261_121,
      report: (line) => lines.push(line),
    });
    expect(result.faults).toEqual([]);
    expect(result.kills).toBe(10);
    expect(result.acknowledged).toBeGreaterThan(50);
  }, 600_000);
});
