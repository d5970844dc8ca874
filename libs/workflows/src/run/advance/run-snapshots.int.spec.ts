import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../../../../test/support/database.js';
import { Running } from '../../../testing/running.js';

let database: TestDatabase;
let store: MemoryEventStore;
let running: Running;

beforeEach(async () => {
  database = await createTestDatabase();
  store = new MemoryEventStore();
  running = await Running.start({ databaseUrl: database.url, store });
});
afterEach(async () => {
  await running.stop();
  await database.drop();
});

const LONG = `name: long
triggers: [{ type: manual }]
steps:
  - id: each
    forEach: ${JSON.stringify(Array.from({ length: 200 }, (_, index) => index + 1))}
    steps: [{ uses: set, with: { last: "item \${{ item }}" } }]
  - { id: answer, waitForEvent: { event: webhook.test } }
outputs: { last: "\${{ vars.last }}", got: "\${{ steps.answer.output.data.webhookId }}" }
`;
const kept = () => running.dataSource.query<{ state: string }[]>('select run_id, state from views.run_snapshots');

describe('a long run that rests', () => {
  it('goes on from its snapshot in another process, and leaves none behind when it ends', async () => {
    await running.save(LONG);
    const id = await running.begin('long');
    const [row] = await waitFor('a snapshot', async () => {
      const rows = await kept();
      return rows.length > 0 && rows;
    });
    expect(row!.state).toContain('"last":"item 200"');
    await running.untilStatus(id, 'waiting');
    // A value that is in no event shows where the run was read from.
    await running.dataSource.query(`update views.run_snapshots set state = replace(state, 'item 200', 'as kept')`);
    await running.stop();
    running = await Running.start({ databaseUrl: database.url, store });
    await running.append('webhook.test', { webhookId: 'whk_1', message: 'x' });
    expect(await running.untilStatus(id, 'completed')).toMatchObject({ outputs: { last: 'as kept', got: 'whk_1' } });
    await waitFor('the snapshot to be deleted', async () => (await kept()).length === 0);
  });

  it('is read whole where another version of the engine made the snapshot', async () => {
    await running.save(LONG);
    const id = await running.begin('long');
    await waitFor('a snapshot', async () => (await kept()).length > 0);
    await running.dataSource.query(
      `update views.run_snapshots set state = replace(replace(state, 'item 200', 'as kept'), '"fold":', '"fold":10')`,
    );
    await running.append('webhook.test', { webhookId: 'whk_1', message: 'x' });
    expect(await running.untilStatus(id, 'completed')).toMatchObject({ outputs: { last: 'item 200' } });
  });
});
