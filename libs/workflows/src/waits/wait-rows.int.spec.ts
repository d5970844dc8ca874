import { expect, it } from '@jest/globals';

import { useViews } from '../../../../test/support/views.js';
import { StoredWaits } from './wait-rows.adapter.js';

const views = useViews();

it('open waits are read in parts, each once', async () => {
  await views.dataSource.query(
    `insert into views.run_waits (request_id, org_id, position, wait)
     select md5(n::text)::uuid, 'org_1', n, json_build_object('cause', null, 'data', n) from generate_series(1, 2500) n`,
  );
  const parts: number[] = [];
  const found = new Set<bigint>();
  for await (const part of new StoredWaits(views.dataSource).all()) {
    parts.push(part.length);
    for (const { position } of part) found.add(position);
  }
  expect(parts).toEqual([1000, 1000, 500]);
  expect(found.size).toBe(2500);
});
