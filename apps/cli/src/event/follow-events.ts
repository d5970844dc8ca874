import { parseAsWritten } from '#libs/kernel/src/text/exact-json.js';

import { linesIn } from '../nouns/lines.js';
import { ServerSaidNo, Unreachable } from '../failures.js';
import { nextLook } from '../run/next-look.js';
import type { Shell } from '../shell.js';

const EVENT_STREAM = 'text/event-stream';
/** The server has no room, or stops and starts again. */
const PASSING = [429, 502, 503, 504];

/** A message of the stream. */
export interface Message {
  readonly event: string;
  readonly data: string;
}

/** Events that the server left out, since this client read too slowly. */
export interface Skipped {
  readonly count: number;
  readonly fromPosition: string;
  readonly toPosition: string;
}

/**
 * Reads a stream of server-sent events until Ctrl-C. Connects again where it was cut off, and goes on after the last message.
 * @throws ServerSaidNo, Unreachable: the latter only where there was no answer at all
 */
export async function followEvents(
  shell: Shell,
  path: (after: string | undefined) => string,
  take: (message: Message) => void,
): Promise<void> {
  let after: string | undefined;
  const seen = (position: string): void => void (after = position);
  for (let answered = false; !shell.signal.aborted; await nextLook(shell.signal))
    try {
      const body = await shell.download(path(after), EVENT_STREAM);
      answered = true;
      for await (const message of messagesIn(body, seen)) take(message);
    } catch (error) {
      if (shell.signal.aborted) return;
      const passes = error instanceof ServerSaidNo ? PASSING.includes(error.status) : error instanceof Unreachable;
      if (!passes || !answered) throw error;
    }
}

/** What is not shown as an event: that some were left out, or that the server ended the stream. */
export function noteOf({ event, data }: Message): string | undefined {
  if (event === 'skipped') {
    const { count, fromPosition, toPosition } = parseAsWritten(data) as Skipped;
    return `${count} events were left out because this terminal reads too slowly: positions ${fromPosition} to ${toPosition}.`;
  }
  if (event === 'end') return (parseAsWritten(data) as { detail: string }).detail;
  return undefined;
}

/** As the standard says: lines of fields, an empty line ends a message. `seen` gets each position once it is complete. */
async function* messagesIn(body: AsyncIterable<Uint8Array>, seen: (position: string) => void): AsyncGenerator<Message> {
  let [event, data, id]: [string, string[], string | undefined] = ['message', [], undefined];
  for await (const line of linesIn(body)) {
    const [, name, value = ''] = /^([^:]*)(?:: ?(.*))?$/.exec(line)!;
    if (name === 'event') event = value;
    else if (name === 'data') data.push(value);
    else if (name === 'id') id = value;
    else if (line === '') {
      if (data.length > 0) yield { event, data: data.join('\n') };
      if (id !== undefined) seen(id);
      [event, data, id] = ['message', [], undefined];
    }
  }
}
