import { describe, expect, it } from '@jest/globals';

import { KeptRows } from './kept-rows.js';

describe('kept rows of deliveries', () => {
  const context = {
    transaction: () => Promise.reject(new Error('the database was asked')),
    signal: AbortSignal.any([]),
  };
  const delivered = (deliveryId: string) =>
    ({ is: (...types: string[]) => types.includes('webhook.delivered'), data: { deliveryId } }) as never;
  const row = (status: 'pending' | 'success') => ({ id: 'del_1', webhookId: 'whk_1', status }) as never;
  const health = { webhookId: 'whk_1' } as never;

  it('answer what was written, without a question', async () => {
    const kept = new KeptRows();
    kept.keep([row('pending')]);
    kept.keepHealth([health]);
    const { rows, health: found } = await kept.of([delivered('del_1')], context);
    expect([...rows.keys()]).toEqual(['del_1']);
    expect([...found.keys()]).toEqual(['whk_1']);
  });

  it.each<[string, (kept: KeptRows) => void, string]>([
    ['a row that was cleared', (kept) => (kept.clear(), kept.keepHealth([health])), 'del_1'],
    ['health that was cleared', (kept) => (kept.clear(), kept.keep([row('pending')])), 'del_1'],
    ['a delivery that has ended', (kept) => kept.keep([row('success')]), 'del_1'],
    ['another delivery', () => undefined, 'del_2'],
  ])('ask for %s', async (_, change, named) => {
    const kept = new KeptRows();
    kept.keep([row('pending')]);
    kept.keepHealth([health]);
    change(kept);
    await expect(kept.of([delivered(named)], context)).rejects.toThrow('the database was asked');
  });
});
