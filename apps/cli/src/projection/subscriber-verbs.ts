import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { UsageError } from '../failures.js';
import type { Verb } from '../nouns/verb-table.js';
import type { Shell } from '../shell.js';

const PATH = '/api/v1/subscribers';

interface Subscriber {
  readonly name: string;
  readonly parked: number;
}
interface Parked {
  readonly position: string;
  readonly eventId: string;
  readonly type: string;
  readonly reason: string;
  readonly tries: number;
}

/** What `millrace subscriber` does beside `ls`. */
export const subscriberVerbs: readonly Verb[] = [
  { usage: 'view <subscriber>', does: 'show how far it is, and the events that it has parked', run: view },
  {
    usage: 'retry <subscriber> [position]',
    does: 'process a parked event again; without a position all of them',
    run: retry,
  },
];

const pathOf = (name: string): string => `${PATH}/${encodeURIComponent(name)}`;

async function parkedOf(shell: Shell, name: string): Promise<readonly Parked[]> {
  return (await shell.call<{ readonly data: readonly Parked[] }>('GET', `${pathOf(name)}/parked`)).data;
}

async function view(shell: Shell, [name]: readonly string[]): Promise<void> {
  const { data } = await shell.call<{ readonly data: readonly Subscriber[] }>('GET', PATH);
  const found = data.find((one) => one.name === name);
  if (!found) throw new UsageError(`There is no subscriber ${name}. millrace subscriber ls lists the existing ones.`);
  const parked = found.parked === 0 ? [] : await parkedOf(shell, name!);
  if (shell.json) return shell.print(stringifyJson({ ...found, parkedEvents: parked }, 2));
  if (shell.quiet) return shell.print(found.name);
  shell.table(
    ['FIELD', 'VALUE'],
    Object.entries(found).map(([field, value]) => [field, String(value)]),
  );
  if (parked.length > 0)
    shell.table(
      ['POSITION', 'EVENT', 'TYPE', 'TRIES', 'REASON'],
      parked.map(({ position, eventId, type, tries, reason }) => [position, eventId, type, String(tries), reason]),
    );
}

async function retry(shell: Shell, [name, position]: readonly string[]): Promise<void> {
  const positions = position === undefined ? (await parkedOf(shell, name!)).map((one) => one.position) : [position];
  for (const at of positions) await shell.call('POST', `${pathOf(name!)}/parked/${encodeURIComponent(at)}/retry`);
  if (shell.json) return shell.print(stringifyJson({ requested: positions }, 2));
  if (shell.quiet) return positions.forEach((at) => shell.print(at));
  shell.print(
    positions.length === 0
      ? `${name} has no parked events.`
      : `${positions.length} ${positions.length === 1 ? 'event is' : 'events are'} processed again. millrace subscriber view ${name} shows what is left.`,
  );
}
