import type { CommandBus } from '@nestjs/cqrs';

import type { Committed, ThingCommand } from './command-handlers.js';
import type { Progress } from './subscriber.js';

/** What a route needs to carry out a command. */
export interface Commands {
  readonly commands: CommandBus;
  readonly progress: Progress;
}

/** A worker that is this far behind will not be waited for: a client must get its answer. */
const PATIENCE_MS = 2_000;

/**
 * Waits until `name` has handled the log up to `position`, so that what is read next, or comes in next, meets the change.
 * Gives up without an error: what is stored is stored, and an error would make the client do it again.
 */
export async function hasSeen(progress: Progress, name: string, position: bigint): Promise<boolean> {
  return progress.whenProcessed(name, position, PATIENCE_MS).then(
    () => true,
    () => false,
  );
}

/**
 * Carries out a command and gives those who are named the time to see what came of it. The answer to the client is made
 * of what is given back, never of a view: a view may be behind, or followed by nobody.
 */
export async function carryOut<State>(
  { commands, progress }: Commands,
  command: ThingCommand<State>,
  ...followers: readonly string[]
): Promise<Committed<State>> {
  const committed = await commands.execute<ThingCommand<State>, Committed<State>>(command);
  await Promise.all(followers.map((name) => hasSeen(progress, name, committed.position)));
  return committed;
}
