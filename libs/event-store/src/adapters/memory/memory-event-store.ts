import { Transient } from '#libs/kernel/src/errors.js';

import { checkAppend } from '../../append-request.js';
import { matcher } from '../../event-filter.js';
import {
  type AllPage,
  type AppendResult,
  type EventToAppend,
  EventStore,
  type ExpectedRevision,
  type ReadAllOptions,
  type ReadStreamOptions,
  RecordedEvent,
  type SubscribeOptions,
  type SubscriptionItem,
  WrongRevision,
} from '../../event-store.js';

/**
 * The specification: what the port promises, in as few lines as it takes. For tests; nothing survives the process.
 */
export class MemoryEventStore extends EventStore {
  private readonly log: RecordedEvent[] = [];
  private readonly streams = new Map<string, RecordedEvent[]>();
  private readonly hiddenBefore = new Map<string, bigint>();
  private readonly waiting = new Set<() => void>();
  private closed = false;

  constructor(private readonly now: () => Date = () => new Date()) {
    super();
  }

  async append(stream: string, events: readonly EventToAppend[], expected: ExpectedRevision): Promise<AppendResult> {
    this.checkOpen();
    checkAppend(stream, events, expected);
    await Promise.resolve();
    const existing = this.streams.get(stream) ?? [];
    const repeated = earlierAppend(existing, events, expected);
    if (repeated) return { revision: repeated.revision, position: repeated.position, repeated: true };
    const last = BigInt(existing.length) - 1n;
    if (!isMet(expected, last)) throw new WrongRevision(stream, expected, last < 0n ? undefined : last);
    const created = this.now();
    for (const { id, type, data, metadata } of events) {
      const position = BigInt(this.log.length + 1);
      const event = new RecordedEvent(stream, BigInt(existing.length), position, id, type, created, data, metadata);
      existing.push(event);
      this.log.push(event);
    }
    this.streams.set(stream, existing);
    for (const wake of this.waiting) wake();
    const { revision, position } = existing.at(-1)!;
    return { revision, position, repeated: false };
  }

  async readStream(stream: string, options: ReadStreamOptions = {}): Promise<readonly RecordedEvent[]> {
    this.checkOpen();
    await Promise.resolve();
    const { from, direction = 'forwards', limit = 1000 } = options;
    const visible = (this.streams.get(stream) ?? []).filter((event) => this.isVisible(event));
    if (direction === 'forwards') return visible.filter(({ revision }) => revision >= (from ?? 0n)).slice(0, limit);
    return visible
      .filter(({ revision }) => from === undefined || revision <= from)
      .reverse()
      .slice(0, limit);
  }

  async readAll({ from, after, direction = 'forwards', filter, limit }: ReadAllOptions): Promise<AllPage> {
    this.checkOpen();
    await Promise.resolve();
    const matches = matcher(filter);
    const forwards = direction === 'forwards';
    const candidates = forwards ? this.log : this.log.toReversed();
    const isAhead = (position: bigint): boolean => {
      if (after !== undefined) return forwards ? position > after : position < after;
      return from === undefined || (forwards ? position >= from : position <= from);
    };
    const found = candidates.filter((event) => isAhead(event.position) && this.isVisible(event) && matches(event));
    const events = found.slice(0, limit);
    if (found.length > limit) return { events, position: events.at(-1)?.position ?? after ?? from ?? 0n, end: false };
    if (!forwards) return { events, position: 0n, end: true };
    const head = BigInt(this.log.length);
    return { events, position: after !== undefined && after > head ? after : head, end: true };
  }

  async *subscribe({ from, filter, batchSize = 500, signal }: SubscribeOptions): AsyncGenerator<SubscriptionItem> {
    this.checkOpen();
    const matches = matcher(filter);
    let at = from === 'end' ? this.log.length : from === 'start' ? 0 : Math.min(Number(from), this.log.length);
    let announced = false;
    while (!signal.aborted && !this.closed) {
      const events: RecordedEvent[] = [];
      const start = at;
      for (; at < this.log.length && events.length < batchSize; at++) {
        const event = this.log[at]!;
        if (this.isVisible(event) && matches(event)) events.push(event);
      }
      const position = BigInt(at);
      if (events.length > 0) yield { kind: 'events', events, position };
      else if (at > start) yield { kind: 'checkpoint', position };
      else if (!announced) {
        announced = true;
        yield { kind: 'caught-up', position };
      } else await this.nextAppend(signal);
    }
  }

  async head(): Promise<bigint> {
    this.checkOpen();
    return Promise.resolve(BigInt(this.log.length));
  }

  async truncatedBefore(stream: string): Promise<bigint> {
    await Promise.resolve();
    return this.hiddenBefore.get(stream) ?? 0n;
  }

  async truncateBefore(stream: string, revision: bigint): Promise<void> {
    this.checkOpen();
    const length = BigInt(this.streams.get(stream)?.length ?? 0);
    const before = revision < length ? revision : length;
    if (before > (this.hiddenBefore.get(stream) ?? 0n)) this.hiddenBefore.set(stream, before);
    return Promise.resolve();
  }

  async ping(): Promise<void> {
    this.checkOpen();
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const wake of this.waiting) wake();
    return Promise.resolve();
  }

  private isVisible({ stream, revision }: RecordedEvent): boolean {
    return revision >= (this.hiddenBefore.get(stream) ?? 0n);
  }

  private nextAppend(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.waiting.add(wake);
      signal.addEventListener('abort', wake);
    });
  }

  private checkOpen(): void {
    if (this.closed) throw new Transient('log.closed', 'The log is closed: this process is shutting down.');
  }
}

const isMet = (expected: ExpectedRevision, last: bigint): boolean =>
  expected === 'any' ||
  (expected === 'no-stream' ? last < 0n : expected === 'stream-exists' ? last >= 0n : last === expected);

/**
 * The last event of an earlier append of exactly these ids, found where the expectation says; without a revision to
 * go by, at the end of the stream.
 */
function earlierAppend(
  stream: readonly RecordedEvent[],
  events: readonly EventToAppend[],
  expected: ExpectedRevision,
): RecordedEvent | undefined {
  const first =
    typeof expected === 'bigint' ? Number(expected) + 1 : expected === 'no-stream' ? 0 : stream.length - events.length;
  if (first < 0 || !events.every(({ id }, index) => stream[first + index]?.id === id)) return undefined;
  return stream[first + events.length - 1];
}
