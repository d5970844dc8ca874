import { type Author, type Decide, execute, slice, ThingCommand } from '../src/command-handlers.js';
import type { EventStore } from '../src/event-store.js';
import { SystemClock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';

/** A small thing over an event type that exists: its name is a number, 0 is none. */
export const namedThing = slice<number>()({
  name: 'thing',
  stream: (id) => `thing-${id}`,
  initial: 0,
  evolve: { 'webhook.exhausted': (_, { attempts }) => attempts },
  uniqueName: {
    of: (name) => (name === 0 ? undefined : { scope: 'org_1', name: String(name) }),
    taken: (name) => new Rejected('conflict', 'thing.name_taken', `${name} is taken.`),
  },
});

class Rename extends ThingCommand<number> {
  constructor(
    id: string,
    author: Author,
    readonly name: number,
  ) {
    super(id, author);
  }
}
const renamed: Decide<number, 'webhook.exhausted', Rename> = (state, { id, name }) =>
  state === name ? [] : [{ type: 'webhook.exhausted', data: { deliveryId: id, attempts: name } }];

/** Gives the thing `id` a name. @returns whether it has it; false if another one does. */
export async function rename(store: EventStore, id: string, name: number): Promise<boolean> {
  const command = new Rename(id, { orgId: 'org_1', actor: 'token/tok_1' }, name);
  try {
    await execute(store, new SystemClock(), namedThing, renamed, command);
    return true;
  } catch (error) {
    if (error instanceof Rejected && error.code === 'thing.name_taken') return false;
    throw error;
  }
}
