import { describe, expect, it } from '@jest/globals';

import type { Runner } from '#libs/event-store/src/runner/runner.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { SubscriberController } from './subscriber.controller.js';

const EVENT = uuid7();

/** A runner with one parked event, and a note of what it is asked to retry. */
function runnerWith(retried: string[]): Runner {
  return {
    status: () =>
      Promise.resolve([
        {
          name: 'rules.decide',
          kind: 'subscriber',
          active: true,
          state: 'live',
          position: 7n,
          head: 9n,
          lagSeconds: 0.123,
          parked: 1,
        },
      ]),
    parked: (name: string) =>
      Promise.resolve(
        name === 'nobody'
          ? []
          : [
              {
                subscriber: name,
                position: 12345678901234567890n,
                eventId: EVENT,
                type: 'git.push',
                reason: 'null',
                tries: 3,
              },
            ],
      ),
    retryParked: (name: string, position: bigint) => Promise.resolve(void retried.push(`${name} ${position}`)),
  } as unknown as Runner;
}

describe('the subscribers as REST shows them', () => {
  const retried: string[] = [];
  const controller = new SubscriberController(runnerWith(retried));

  it('are named where they do not exist', async () => {
    await expect(controller.parked('nobody')).rejects.toMatchObject({ code: 'subscriber.not_found' });
  });

  it('tell how far they are', async () => {
    expect((await controller.list()).data).toEqual([
      { name: 'rules.decide', kind: 'subscriber', active: true, state: 'live', lag: 2, lagSeconds: 0.1, parked: 1 },
    ]);
  });

  it('show parked events with positions that no JSON number could hold', async () => {
    expect((await controller.parked('rules.decide')).data).toEqual([
      { position: '12345678901234567890', eventId: eventIdOf(EVENT), type: 'git.push', reason: 'null', tries: 3 },
    ]);
  });

  it('are asked to handle a parked event again', async () => {
    await controller.retry('rules.decide', '12345');
    expect(retried).toEqual(['rules.decide 12345']);
  });

  it.each(['', '-1', '1.5', 'all', '1'.repeat(19)])('refuse %j as a position', async (position) => {
    await expect(controller.retry('rules.decide', position)).rejects.toMatchObject({ code: 'subscriber.bad_position' });
  });
});
