import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import { derivedId, PREFIXES } from '#libs/kernel/src/ids.js';

/** Integrations and agents receive at addresses that hold their ids: anyone who knows the id can send there. */
const ADDRESS_IDS = /\b(int|agt)_[0-9a-hjkmnp-tv-z]{26}\b/g;

/**
 * The id under which an integration or an agent is shown to receivers outside: always the same for the same one, and nothing
 * receives at it. One way: nobody finds the address from it.
 */
export function shownId(id: string): string {
  let shown = known.get(id);
  if (shown === undefined) {
    shown = derivedId(id.startsWith('int_') ? PREFIXES.integration : PREFIXES.agent, 'shown outside', id);
    known.set(id, shown);
  }
  return shown;
}

/** Each event of an integration names it. */
const known = new BoundedMap<string, string>(10_000);

/** A text on its way to a receiver outside, without ids that are addresses. */
export const withoutAddresses = (text: string): string =>
  text.includes('int_') || text.includes('agt_') ? text.replaceAll(ADDRESS_IDS, shownId) : text;
