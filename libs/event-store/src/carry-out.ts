import type { CommandBus } from '@nestjs/cqrs';

import type { Committed, ThingCommand } from './command-handlers.js';
import type { Progress } from './subscriber.js';

/** What a route needs to carry out a command. */
export interface Commands {
  readonly commands: CommandBus;
  readonly progress: Progress;
}

/**
 * Carries out a command and waits until those who are named have seen what came of it: what is read next, or comes in
 * next, meets the change.
 */
export async function carryOut<State>(
  { commands, progress }: Commands,
  command: ThingCommand<State>,
  ...followers: readonly string[]
): Promise<Committed<State>> {
  const committed = await commands.execute<ThingCommand<State>, Committed<State>>(command);
  await Promise.all(followers.map((name) => progress.whenProcessed(name, committed.position)));
  return committed;
}
