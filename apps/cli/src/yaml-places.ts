import { type Event, EVENT_ID, getScalarValue, parseEvents, SCALAR_STYLE } from 'js-yaml';

import { pointerToken } from '#libs/kernel/src/json.js';

/** Counted from 1; columns in UTF-16 units, as editors do. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/**
 * Where the values of a YAML or JSON document stand, by JSON pointer: a text or number where it begins, an object or
 * array at its key. Where the pointer leads nowhere (what is missing), the nearest thing around it.
 * @param text a single document that parses.
 */
export function placesOf(text: string, maxDepth: number): (pointer: string) => Place {
  const offsets = offsetsOf(text, parseEvents(text, { maxDepth }));
  return (pointer) => {
    for (let at = pointer; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
      const offset = offsets.get(at);
      if (offset !== undefined || at === '') return placeAt(text, offset ?? 0);
    }
  };
}

/** Line and column of an offset, for `\n`, `\r\n` and `\r`. */
export function placeAt(text: string, offset: number): Place {
  const before = text.slice(0, offset).split(/\r\n|\n|\r/);
  return { line: before.length, column: before.at(-1)!.length + 1 };
}

function offsetsOf(text: string, events: readonly Event[]): ReadonlyMap<string, number> {
  const offsets = new Map<string, number>();
  let next = 1;
  const ends = (): boolean => events[next]!.type === EVENT_ID.POP;
  /** Reads one node; a key in `keyAt` is where an object or array is shown. */
  const node = (pointer: string, keyAt?: number): void => {
    const event = events[next++]!;
    if (event.type === EVENT_ID.SCALAR) {
      const isQuoted = event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED;
      const at = event.valueStart < 0 ? keyAt : event.valueStart - (isQuoted ? 1 : 0);
      if (at !== undefined) offsets.set(pointer, at);
      return;
    }
    // What an alias stands for is written elsewhere.
    if (event.type === EVENT_ID.ALIAS) return void offsets.set(pointer, event.anchorStart);
    if (event.type !== EVENT_ID.SEQUENCE && event.type !== EVENT_ID.MAPPING) return;
    offsets.set(pointer, keyAt ?? event.start);
    for (let index = 0; !ends(); index++) {
      if (event.type === EVENT_ID.SEQUENCE) node(`${pointer}/${index}`);
      else {
        const key = events[next]!;
        if (key.type === EVENT_ID.SCALAR) {
          next++;
          node(`${pointer}/${pointerToken(getScalarValue(text, key))}`, Math.max(0, key.valueStart));
        } else {
          // A key that is no text: no pointer leads there.
          node(`${pointer}/\0`);
          node(`${pointer}/\0`);
        }
      }
    }
    next++;
  };
  if (events.length > 1 && !ends()) node('');
  return offsets;
}
