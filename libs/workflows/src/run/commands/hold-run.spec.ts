import { describe, expect, it } from '@jest/globals';

import { MINUTE } from '../../../testing/played.js';
import { VirtualWorld, type WorldOptions } from '../../../testing/virtual-world.js';
import { cancelRun } from './cancel-run.js';
import { MAX_CRASHES, noteCrash, pauseRun, resumeRun } from './hold-run.js';

async function given(yaml: string, more: Partial<WorldOptions> = {}) {
  const world = new VirtualWorld({ yaml, ...more });
  await world.begin();
  const command = { runId: world.runId, orgId: world.orgId, by: 'token/me' };
  const now = () => world.clock.now();
  return {
    world,
    pause: () => pauseRun(world.store, command, now),
    resume: () => resumeRun(world.store, command, now),
    cancel: () => cancelRun(world.store, command, now, () => Promise.resolve(world.definition)),
    crash: () => noteCrash(world.store, world.runId, now),
    status: async () => (await world.run()).status,
    types: async () => (await world.events()).map(({ type }) => type),
  };
}

describe('a run that is paused', () => {
  it('does nothing when its time comes, and at once when it is resumed', async () => {
    const { world, pause, resume, status, types } = await given('name: x\nsteps: [{ id: nap, wait: { for: 1m } }]\n');
    await world.goOn();
    expect((await pause()).run.status).toBe('paused');
    const paused = await types();
    await pause();
    expect(await types()).toEqual(paused);
    world.clock.advance(5 * MINUTE);
    await world.goOn();
    expect(await types()).toEqual(paused);
    await resume();
    await world.goOn();
    expect(await status()).toBe('completed');
    // Once it has ended, there is nothing to pause or resume.
    await expect(pause()).rejects.toMatchObject({ code: 'run.ended' });
    await expect(resume()).rejects.toMatchObject({ code: 'run.ended' });
  });

  it('lets an attempt that is under way end, records it, and begins no other', async () => {
    const calls: string[] = [];
    let end: (() => void) | undefined;
    const { world, pause, resume, status } = await given(
      'name: x\nsteps: [{ id: one, uses: call, with: { to: x } }, { id: two, uses: call, with: { to: x } }]\n',
      {
        makeAttempt: async ({ path }) => {
          calls.push(path);
          if (path === 'one') await new Promise<void>((resolve) => (end = resolve));
          return null;
        },
      },
    );
    const going = world.goOn();
    while (!end) await new Promise((resolve) => setImmediate(resolve));
    await pause();
    end();
    await going;
    expect(calls).toEqual(['one']);
    const run = await world.run();
    expect(run).toMatchObject({ status: 'paused', steps: { one: { status: 'completed' } } });
    await resume();
    await world.goOn();
    expect(await status()).toBe('completed');
    expect(calls).toEqual(['one', 'two']);
  });

  it('goes on in the same process where it is resumed before the attempt ends', async () => {
    const calls: string[] = [];
    let end: (() => void) | undefined;
    const { world, pause, resume, status } = await given(
      'name: x\nsteps: [{ id: one, uses: call, with: { to: x } }, { id: two, uses: call, with: { to: x } }]\n',
      {
        makeAttempt: async ({ path }) => {
          calls.push(path);
          if (path === 'one') await new Promise<void>((resolve) => (end = resolve));
          return null;
        },
      },
    );
    const going = world.goOn();
    while (!end) await new Promise((resolve) => setImmediate(resolve));
    await pause();
    await resume();
    end();
    await going;
    expect(await status()).toBe('completed');
    expect(calls).toEqual(['one', 'two']);
  });

  it('can be cancelled, and then does the steps of finally', async () => {
    const { world, pause, cancel, status } = await given(
      'name: x\nsteps: [{ wait: { for: 1m } }]\nfinally: [{ uses: echo, with: { value: 1 } }]\n',
    );
    await world.goOn();
    await pause();
    await cancel();
    await world.goOn();
    expect(await status()).toBe('cancelled');
  });
});

describe('a run whose processes die', () => {
  it('is blocked after ten in a row at the same step, and goes on when it is resumed', async () => {
    const { world, crash, resume, status, types } = await given(
      'name: x\nsteps: [{ id: one, wait: { for: 1m } }, { id: two, wait: { for: 1m } }]\n',
    );
    await world.goOn();
    for (let nth = 1; nth < MAX_CRASHES; nth++) await crash();
    expect(await status()).toBe('waiting');
    // A step further: it is not the same step any more.
    world.clock.advance(MINUTE);
    await world.goOn();
    for (let nth = 1; nth < MAX_CRASHES; nth++) await crash();
    expect(await status()).toBe('waiting');
    await crash();
    expect(await world.run()).toMatchObject({ status: 'blocked', held: 'blocked' });
    expect((await world.events()).at(-2)).toMatchObject({ data: { crashes: MAX_CRASHES, paths: ['two'] } });
    const blocked = await types();
    await crash();
    world.clock.advance(MINUTE);
    await world.goOn();
    expect(await types()).toEqual(blocked);
    await resume();
    await world.goOn();
    expect(await status()).toBe('completed');
  });
});

describe('a run that is cancelled', () => {
  it('withdraws what its steps asked other stages for and still wait for', async () => {
    const send = (step: string) => `{ id: ${step}, uses: redeliver_webhook, with: { delivery: del_${step} } }`;
    const { world, cancel } = await given(
      `name: x\nsteps: [{ parallel: [{ steps: [${send('a')}] }, { steps: [{ id: each, forEach: [1], steps: [${send('b')}] }] }, { steps: [{ wait: { for: 1h } }] }] }]\n`,
    );
    await world.goOn();
    await cancel();
    const events = await world.events();
    const asked = events.flatMap((event) => (event.is('webhook.redelivery_requested') ? [event] : []));
    expect(events.flatMap((event) => (event.is('run.request_withdrawn') ? [event.data] : []))).toEqual(
      asked.map(({ id, type, data }) => ({
        runId: world.runId,
        path: data.deliveryId === 'del_a' ? 'a' : 'each[0].b',
        requestId: id,
        request: type,
        deliveryId: data.deliveryId,
      })),
    );
    expect(asked).toHaveLength(2);
    expect(events.at(-1)).toMatchObject({ data: { to: 'cancelled' } });
  });

  it('withdraws messages and issues, but not what is detached', async () => {
    const { world, cancel } = await given(`name: x
steps:
  - parallel:
      - steps: [{ uses: send_message, with: { integration: chat, text: x } }]
      - steps: [{ uses: create_issue, with: { title: x, tracker: acme/app } }]
      - steps: [{ uses: send_message, with: { integration: chat, text: y, detached: true } }, { wait: { for: 1h } }]
`);
    await world.goOn();
    await cancel();
    const events = await world.events();
    const withdrawn = events.flatMap((event) => (event.is('run.request_withdrawn') ? [event.data] : []));
    expect(withdrawn.map(({ request }) => request)).toEqual(['message.requested', 'issue.requested']);
    const asked = events.filter(({ type }) => /^(message|issue)\.requested$/.test(type)).map(({ id }) => id);
    expect(withdrawn.map(({ requestId }) => requestId)).toEqual(asked.slice(0, 2));
  });
});
