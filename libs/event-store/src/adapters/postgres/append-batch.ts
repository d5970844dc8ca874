import type { Transient } from '#libs/kernel/src/errors.js';

import {
  type AppendResult,
  type EventToAppend,
  type ExpectedRevision,
  RecordedEvent,
  WrongRevision,
} from '../../event-store.js';
import type { StreamNames } from '../../names/stream-names.js';

/** One caller's append, checked, on its way into a batch. */
export interface AppendRequest {
  readonly stream: string;
  readonly events: readonly EventToAppend[];
  readonly expected: ExpectedRevision;
  readonly bytes: number;
}

/** How the log answered one request: each has its own outcome, whatever became of those beside it. */
export type AppendOutcome = { readonly result: AppendResult } | { readonly error: WrongRevision | Transient };

/** As `log.append_prefixed` numbers them. */
const [APPENDED, REPEATED] = ['0', '1'];

const EXPECTATIONS = { 'no-stream': '-1', 'stream-exists': '-2', any: '-3' } as const;

/** An element of a PostgreSQL array literal. */
const quoted = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
const literal = (elements: readonly (string | number)[]): string => `{${elements.join(',')}}`;
const elements = (text: string): string[] => text.slice(1, -1).split(',');

/**
 * Turns batches into the parameters of `log.append_prefixed`. All payloads of a batch travel as one binary parameter with the
 * places where they end, since a text for each would be escaped, parsed and checked on both sides. The buffer is
 * reused: what `parameters` returns is valid until the next call.
 */
export class BatchEncoder {
  private buffer = Buffer.allocUnsafeSlow(1 << 20);

  constructor(private readonly names: StreamNames) {}

  parameters(requests: readonly AppendRequest[]): (string | Buffer)[] {
    this.reserve(requests);
    const streams: string[] = [];
    const expectations: string[] = [];
    const counts: number[] = [];
    const ids: string[] = [];
    const kinds: number[] = [];
    const types = new Map<string, number>();
    const ends: number[] = [0];
    let offset = 0;
    for (const { stream, events, expected } of requests) {
      streams.push(quoted(this.names.stored(stream)));
      expectations.push(typeof expected === 'bigint' ? expected.toString() : EXPECTATIONS[expected]);
      counts.push(events.length);
      for (const { id, type, data, metadata } of events) {
        ids.push(id);
        let kind = types.get(type);
        if (kind === undefined) types.set(type, (kind = types.size + 1));
        kinds.push(kind);
        ends.push((offset += this.buffer.write(data, offset, 'utf8')));
        ends.push((offset += this.buffer.write(metadata, offset, 'utf8')));
      }
    }
    return [
      ...[streams, expectations, counts, ids, kinds, [...types.keys()].map(quoted), ends].map(literal),
      this.buffer.subarray(0, offset),
    ];
  }

  private reserve(requests: readonly AppendRequest[]): void {
    const bytes = requests.reduce((sum, request) => sum + request.bytes, 0);
    if (bytes > this.buffer.length) this.buffer = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)));
  }
}

/** What `log.append_prefixed` answers, in PostgreSQL's text form: three arrays with an element for each request, and a time. */
export type AppendRow = readonly [outcomes: string, revisions: string, positions: string, created: string];

/** The answers to a batch, and its new events as the log now holds them. */
export interface Appended {
  readonly outcomes: readonly AppendOutcome[];
  readonly events: readonly RecordedEvent[];
}

export function decodeAnswer(requests: readonly AppendRequest[], row: AppendRow): Appended {
  const [outcomes, revisions, positions] = row.slice(0, 3).map((text) => elements(text)) as [
    string[],
    string[],
    string[],
  ];
  const created = new Date(Number(row[3]));
  const recorded: RecordedEvent[] = [];
  const answers = requests.map(({ stream, events, expected }, n): AppendOutcome => {
    const revision = BigInt(revisions[n]!);
    if (outcomes[n] !== APPENDED && outcomes[n] !== REPEATED)
      return { error: new WrongRevision(stream, expected, revision < 0n ? undefined : revision) };
    const position = BigInt(positions[n]!);
    if (outcomes[n] === APPENDED)
      for (const [index, { id, type, data, metadata }] of events.entries()) {
        const back = BigInt(events.length - 1 - index);
        recorded.push(new RecordedEvent(stream, revision - back, position - back, id, type, created, data, metadata));
      }
    return { result: { revision, position, repeated: outcomes[n] === REPEATED } };
  });
  return { outcomes: answers, events: recorded };
}
