import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';

import { createTestDatabase, type TestDatabase } from '../../../../../test/support/database.js';
import { answered, Running } from '../../../testing/running.js';

let database: TestDatabase;
let one: Running;
beforeEach(async () => {
  database = await createTestDatabase();
  one = await Running.start({ databaseUrl: database.url, store: new MemoryEventStore() });
});
afterEach(async () => {
  await one.stop();
  await database.drop();
});

const yaml = (to: string) =>
  `name: calls\ntriggers: [{ type: manual }]\nsteps: [{ id: a, uses: echo, with: { value: 1 } }, { id: each, forEach: [1, 2], onItemError: continue, steps: [{ id: b, uses: call, with: { to: ${to} }, retry: { maxAttempts: 1 } }] }, { id: c, uses: call, with: { to: x }, if: "\`false\`" }]\n`;

describe('versions of a workflow', () => {
  it('are drawn with the states of a run, and compared by hash or number', async () => {
    one.egress.answer = ({ url }) => Promise.resolve(answered(url === 'bad' ? 500 : 200));
    await one.save(yaml('bad'));
    const id = await one.begin('calls');
    await one.untilStatus(id, 'completed');
    await one.save(yaml('good'));
    const drawn = await one.graphs.graph(one.caller, 'calls', undefined, id);
    expect(drawn).toMatchObject({ number: 1, run: id, status: 'completed' });
    expect(drawn.nodes.map(({ id: step, status, states }) => [step, status, states])).toEqual([
      ['a', 'completed', { completed: 1 }],
      ['each', 'completed', { completed: 1 }],
      ['b', 'failed', { failed: 2 }],
      ['c', 'skipped', { skipped: 1 }],
    ]);
    expect(await one.graphs.graph(one.caller, 'calls', '2')).toMatchObject({
      number: 2,
      nodes: [{ id: 'a' }, {}, {}, {}],
    });
    const diff = await one.graphs.diff(one.caller, 'calls');
    expect(diff).toMatchObject({
      from: { number: 1 },
      to: { number: 2 },
      steps: { added: [], removed: [], changed: [{ id: 'b', keys: ['with'] }] },
    });
    expect(diff.lines.map(({ kind }) => kind)).toEqual(['same', 'same', 'removed', 'added']);
    expect(await one.graphs.diff(one.caller, 'calls', drawn.version, '1')).toMatchObject({ steps: { changed: [] } });
    await expect(one.graphs.graph(one.caller, 'calls', '9')).rejects.toMatchObject({
      code: 'workflow.version_not_found',
    });
    await expect(one.graphs.graph(one.caller, 'nothing')).rejects.toMatchObject({ code: 'workflow.not_found' });
    const stranger = { ...one.caller, orgId: 'org_other' };
    await expect(one.graphs.graph(stranger, 'calls', undefined, id)).rejects.toMatchObject({ code: 'run.not_found' });
  });
});
