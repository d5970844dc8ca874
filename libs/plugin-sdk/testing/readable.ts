import type { Normalised, Unreadable } from '../src/define-provider.js';

/** What a provider made of a body that it has to understand. @throws Error with its words where it does not. */
export function readable(made: Normalised | Unreadable): Normalised {
  if ('unreadable' in made) throw new Error(`unreadable: ${made.unreadable}`);
  return made;
}
