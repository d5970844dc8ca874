import { Rejected } from '#libs/kernel/src/errors.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { isUuid } from '#libs/kernel/src/ids.js';
import { isWellFormed } from '#libs/kernel/src/text/text.js';

import { type EventToAppend, type ExpectedRevision, LARGEST_APPEND_BYTES } from './event-store.js';

/** Longest name of a stream or a type, in UTF-16 units: what fits every adapter's index. */
export const MAX_NAME_LENGTH = 512;

const CONTROL = /[\u0000-\u001f\u007f]/;

/** Whether a text survives UTF-8 and every adapter's index as a name. `$` is EventStoreDB's own. */
const isName = (text: string): boolean =>
  text.length > 0 &&
  text.length <= MAX_NAME_LENGTH &&
  !text.startsWith('$') &&
  !CONTROL.test(text) &&
  isWellFormed(text);

/**
 * What every adapter checks before it sends anything, so that all of them refuse the same. Returns the size in bytes
 * as EventStoreDB counts it: data, metadata, and two for each character of the type.
 * @throws Rejected `log.append_too_large`, `log.append_empty`, `log.name_malformed`, `log.event_malformed`
 */
export function checkAppend(stream: string, events: readonly EventToAppend[], expected: ExpectedRevision): number {
  if (!isName(stream)) throw malformedName('stream', stream);
  if (typeof expected === 'bigint' && expected < 0n)
    throw new Rejected(
      'invalid',
      'log.event_malformed',
      `A revision is never negative; for a new stream expect 'no-stream'.`,
    );
  if (events.length === 0)
    throw new Rejected('invalid', 'log.append_empty', `An append to ${stream} needs at least one event.`);
  let bytes = 0;
  for (const event of events) {
    if (!isName(event.type)) throw malformedName('type', event.type);
    if (!isUuid(event.id))
      throw new Rejected(
        'invalid',
        'log.event_malformed',
        `"${event.id}" is not a lower-case UUID; events need one as id.`,
      );
    if (!isWellFormed(event.data) || !isWellFormed(event.metadata))
      throw new Rejected(
        'invalid',
        'log.event_malformed',
        `Event ${event.id} contains half of a surrogate pair, which UTF-8 cannot store. Escape it as in JSON (\\ud800).`,
      );
    bytes += Buffer.byteLength(event.data) + Buffer.byteLength(event.metadata) + 2 * event.type.length;
  }
  if (bytes > LARGEST_APPEND_BYTES)
    throw new Rejected(
      'too_large',
      'log.append_too_large',
      `An append to ${stream} has ${bytes} bytes; the log accepts at most ${LARGEST_APPEND_BYTES} at once. Split it or store less.`,
    );
  return bytes;
}

const malformedName = (what: string, name: string): Rejected =>
  new Rejected(
    'invalid',
    'log.name_malformed',
    `${stringifyJson(name.slice(0, 100))} cannot be a ${what}: use 1 to ${MAX_NAME_LENGTH} characters, none of them a control character, not starting with "$".`,
  );
