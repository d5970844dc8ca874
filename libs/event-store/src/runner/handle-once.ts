import { crashPoint } from '#libs/kernel/src/crash-point.js';

import type { RecordedEvent } from '../event-store.js';
import type { Subscriber, SubscriberContext } from '../subscriber.js';
import type { CheckpointMove, Checkpoints, CheckpointTransaction, ParkedEvent } from './checkpoints.js';

/**
 * One call of `handle`, and one transaction for its views and what follows from having handled: the move of the
 * checkpoint, or the removal of the parked event.
 * @returns whether anything was committed: `handle` may not have asked for a transaction.
 */
export async function handleOnce(
  checkpoints: Checkpoints,
  subscriber: Subscriber,
  events: readonly RecordedEvent[],
  then: CheckpointMove | ParkedEvent,
  given: Omit<SubscriberContext, 'transaction'>,
): Promise<boolean> {
  let opening: Promise<CheckpointTransaction> | undefined;
  const open = (): Promise<CheckpointTransaction> => (opening ??= checkpoints.begin());
  try {
    const read = subscriber.readsSealed === true ? events.map(({ sealed }) => sealed) : events;
    if (read.length > 0) await subscriber.handle(read, { ...given, transaction: async () => (await open()).views });
    given.signal.throwIfAborted();
    if ('eventId' in then) await (await open()).unpark(then.subscriber, then.position);
    if (!opening) return false;
    crashPoint('runner.before-commit');
    await (await opening).commit('eventId' in then ? undefined : then);
    crashPoint('runner.after-commit');
    return true;
  } catch (error) {
    await (await opening?.catch(() => undefined))?.rollback();
    throw error;
  }
}
