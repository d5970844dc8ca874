import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

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

const source = (said: string) => `name: calls
triggers:
  - { type: manual, inputs: { to: { type: string, default: "https://a.example" } } }
  - { type: event, event: git.push }
steps: [{ id: call, uses: call, with: { to: "\${{ inputs.to }}" }, retry: { maxAttempts: 1 } }]
outputs: { said: ${said}, branch: "\${{ event.data.branch }}" }
`;
const restart = async (id: string, body: object = {}) =>
  ((await one.commands.restart(one.caller, id, { body })) as { id: string }).id;
const listed = async (filter: object) => {
  const page = await one.runs.list(one.caller, filter as Record<string, unknown>);
  return page.data.map((run) => (run as { id: string }).id);
};

describe('a run that is done again', () => {
  it('is another run, with the same event, inputs and version', async () => {
    await one.save(source('one'));
    one.egress.answer = () => Promise.resolve(answered(500));
    await one.append('git.push', { branch: 'main' } as never);
    const [first] = await untilListed({ trigger: 'event' });
    await one.untilStatus(first!, 'failed');
    await one.save(source('two'));
    one.egress.answer = () => Promise.resolve(answered(200));
    const again = await one.untilStatus(await restart(first!), 'completed');
    expect(again).toMatchObject({
      restartOf: first,
      trigger: 'event',
      outputs: { said: 'one', branch: 'main' },
      inputs: { to: 'https://a.example' },
    });
    const latest = await one.untilStatus(await restart(first!, { latest: true }), 'completed');
    expect(latest).toMatchObject({ outputs: { said: 'two', branch: 'main' } });
  });

  it('may have other inputs, which are checked', async () => {
    await one.save(source('one'));
    const first = await one.begin('calls');
    await one.untilStatus(first, 'completed');
    const again = await restart(first, { inputs: { to: 'https://b.example' } });
    await one.untilStatus(again, 'completed');
    expect(one.egress.requests.map(({ url }) => url)).toEqual(['https://a.example', 'https://b.example']);
    await expect(restart(first, { inputs: { to: 5 } })).rejects.toMatchObject({ kind: 'invalid' });
  });

  it('has to have ended', async () => {
    await one.save(source('one').replace('steps: [', 'steps: [{ wait: { for: 1h } }, '));
    const first = await one.begin('calls');
    await expect(restart(first)).rejects.toMatchObject({ code: 'run.not_ended' });
    await one.commands.cancel(one.caller, first);
    await one.untilStatus(await restart(first), 'waiting');
  });
});

describe('the list of runs', () => {
  it('is filtered by trigger, version, error and time', async () => {
    await one.save(source('one'));
    one.egress.answer = () => Promise.resolve(answered(500));
    const failed = await one.begin('calls');
    const { version } = (await one.untilStatus(failed, 'failed')) as unknown as { version: string };
    one.egress.answer = () => Promise.resolve(answered(200));
    await one.save(source('two'));
    const completed = await one.begin('calls');
    await one.untilStatus(completed, 'completed');
    expect(await listed({ trigger: 'manual' })).toEqual([completed, failed]);
    expect(await listed({ trigger: 'schedule' })).toEqual([]);
    expect(await listed({ version })).toEqual([failed]);
    expect(await listed({ errorCode: 'call.failed' })).toEqual([failed]);
    expect(await listed({ from: '2999-01-01T00:00:00Z' })).toEqual([]);
    expect(await listed({ to: '2999-01-01T00:00:00Z' })).toEqual([completed, failed]);
    await expect(listed({ trigger: 'x' })).rejects.toMatchObject({ code: 'list.bad_filter' });
    await expect(listed({ from: 'x' })).rejects.toMatchObject({ code: 'list.bad_filter' });
  });
});

async function untilListed(filter: object): Promise<readonly string[]> {
  return waitFor('a run', async () => {
    const ids = await listed(filter);
    return ids.length > 0 && ids;
  });
}
