import type { Command } from 'commander';

import { several } from '../options.js';
import type { Act, Shell } from '../shell.js';

/** Values of options by name: text, list or switch. */
export type Given = Readonly<Record<string, string | readonly string[] | true | undefined>>;

/** A verb of a noun, such as `ls` of `run`. Further verbs and nouns are further rows of a table. */
export interface Verb {
  /** The verb and its arguments: `view <run>`. */
  readonly usage: string;
  readonly does: string;
  /** Flags and what they mean; a flag that ends in `...` may be repeated. */
  readonly options?: readonly (readonly [flags: string, meaning: string])[];
  run(shell: Shell, args: readonly string[], options: Given): Promise<number | void>;
}

/** `millrace <noun> <verb>` for each row. */
export function addVerbs(noun: Command, verbs: readonly Verb[], act: Act): void {
  for (const { usage, does, options = [], run } of verbs) {
    const command = noun.command(usage).description(does);
    for (const [flags, meaning] of options)
      if (flags.endsWith('...')) command.option(flags.slice(0, -3), `${meaning}; may be repeated`, several);
      else command.option(flags, meaning);
    command.action((...given: unknown[]) =>
      // What may be repeated comes as a list.
      act((shell) => run(shell, given.slice(0, -2).flat() as string[], given.at(-2) as Given)),
    );
  }
}
