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

const yaml = (second: string, more = '') => `name: calls
triggers: [{ type: manual, inputs: { to: { type: string, default: a } } }]
${more}
steps:
  - { id: first, uses: call, with: { to: "\${{ inputs.to }}" }, retry: { maxAttempts: 1 } }
  - { id: noted, uses: set, with: { said: "\${{ steps.first.output.status }}" } }
  - { id: second, uses: call, with: { to: ${second} }, retry: { maxAttempts: 1 } }
outputs: { first: "\${{ steps.first.output.status }}", said: "\${{ vars.said }}" }
`;
const sent = () => one.egress.requests.map(({ url }) => url);
const failSecond = () => (one.egress.answer = ({ url }) => Promise.resolve(answered(url === 'b' ? 500 : 200)));
const succeed = () => (one.egress.answer = () => Promise.resolve(answered(200)));

describe('a run that is retried', () => {
  it('goes on in its place: in the list it runs again, and its end is another one', async () => {
    failSecond();
    await one.save(yaml('b'));
    const id = await one.begin('calls');
    await one.untilStatus(id, 'failed');
    succeed();
    const answer = (await one.commands.retry(one.caller, id, { body: {} })) as object;
    expect(answer).not.toMatchObject({ status: 'failed' });
    const shown = await one.untilStatus(id, 'completed');
    expect(shown).toMatchObject({ retries: [{ by: 'token/tok_1' }], outputs: { first: 200, said: 200 } });
    expect(shown).not.toHaveProperty('error');
    expect(sent()).toEqual(['a', 'b', 'b']);
    await expect(one.commands.retry(one.caller, id, { body: {} })).rejects.toMatchObject({ code: 'run.not_failed' });
  });

  it('takes another version by its number', async () => {
    failSecond();
    await one.save(yaml('b'));
    const id = await one.begin('calls');
    const { version } = (await one.untilStatus(id, 'failed')) as unknown as { version: string };
    await one.save(yaml('c'));
    await one.commands.retry(one.caller, id, { body: { version: 2 } });
    const shown = (await one.untilStatus(id, 'completed')) as unknown as { version: string };
    expect(shown.version).not.toBe(version);
    expect(sent()).toEqual(['a', 'b', 'c']);
  });

  it('waits for its turn again, whatever `onConflict` says', async () => {
    failSecond();
    await one.save(yaml('b', 'concurrency: { onConflict: skip }'));
    const id = await one.begin('calls');
    await one.untilStatus(id, 'failed');
    await one.save(
      yaml('b', 'concurrency: { onConflict: skip }').replace('steps:', 'steps:\n  - { wait: { for: 1h } }'),
    );
    const blocker = await one.begin('calls');
    await one.untilStatus(blocker, 'waiting');
    succeed();
    await one.commands.retry(one.caller, id, { body: {} });
    await one.untilStatus(id, 'queued');
    await one.commands.cancel(one.caller, blocker);
    await one.untilStatus(id, 'completed');
  });
});

describe('a run that is restarted from a later step', () => {
  it('does not run the earlier ones again, and keeps their outputs and variables', async () => {
    failSecond();
    await one.save(yaml('b'));
    const id = await one.begin('calls');
    await one.untilStatus(id, 'failed');
    succeed();
    const restart = async (body: object) =>
      (await one.commands.restart(one.caller, id, { body: { from: 'second', ...body } })) as { id: string };
    const again = await one.untilStatus((await restart({})).id, 'completed');
    expect(again).toMatchObject({ restartOf: id, outputs: { first: 200, said: 200 } });
    expect(again.timeline).toMatchObject([
      { path: 'first', status: 'completed', reusedFrom: id },
      { path: 'noted', status: 'completed', reusedFrom: id },
      { path: 'second', status: 'completed' },
    ]);
    expect(sent()).toEqual(['a', 'b', 'b']);
    const edited = await one.untilStatus((await restart({ outputs: { first: { status: 7 } } })).id, 'completed');
    expect(edited).toMatchObject({ outputs: { first: 7, said: 200 } });
    await expect(restart({ from: 'secnd' })).rejects.toMatchObject({
      code: 'run.unknown_step',
      problems: [{ pointer: '/from', detail: expect.stringContaining('second') }],
    });
    await expect(restart({ outputs: { second: 1 } })).rejects.toMatchObject({ code: 'run.invalid_outputs' });
  });

  it('needs the outputs of all earlier steps', async () => {
    one.egress.answer = () => Promise.resolve(answered(500));
    await one.save(yaml('b'));
    const id = await one.begin('calls');
    await one.untilStatus(id, 'failed');
    succeed();
    const restart = (body: object) => one.commands.restart(one.caller, id, { body: { from: 'second', ...body } });
    await expect(restart({})).rejects.toMatchObject({ code: 'run.step_not_ended' });
    const { id: again } = (await restart({ outputs: { first: { status: 1 }, noted: null } })) as { id: string };
    expect(await one.untilStatus(again, 'completed')).toMatchObject({ outputs: { first: 1, said: null } });
  });
});
