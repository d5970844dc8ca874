import type { BatchAppendReq, BatchAppendResp } from '@eventstore/db-client/generated/streams_pb.js';
import type { ClientDuplexStream } from '@grpc/grpc-js';

import { type AppendResult, type EventToAppend, type ExpectedRevision, WrongRevision } from '../../event-store.js';
import type { Connection } from './connection.adapter.js';
import { closed, LostCall, overloaded, tooLargeForServer } from './errors.adapter.js';
import type { Horizon } from './horizon.js';
import { answeredWithin, type Reader } from './reader.adapter.js';
import { type AppendReply, appendReply, appendRequest } from './wire.adapter.js';

/** Unanswered this long, an append's outcome is unknown and it is sent again. */
const ANSWER_MS = 5_000;
/** In flight at once over the one call; what comes meanwhile waits. */
const MAX_IN_FLIGHT = 512;
const MAX_BYTES_IN_FLIGHT = 16 * 1024 * 1024;
/** Appends that may wait; beyond it callers must retry later. */
const MAX_WAITING = 4_096;

/** One call to the server, on which appends follow each other without waiting for answers. */
interface Line {
  readonly call: ClientDuplexStream<BatchAppendReq, BatchAppendResp>;
  readonly generation: number;
  readonly unanswered: Map<string, { resolve(reply: AppendReply): void; reject(error: unknown): void }>;
  /** When the last answer came; 0 before the first. */
  heard: number;
}

/**
 * Appends share one call, so that concurrent ones share round trips and the server's own write batches. Of one stream
 * one append is in flight at a time: order is that of the calls, and a lost answer is settled before the next is sent.
 */
export class AppendPipeline {
  private line: Promise<Line> | undefined;
  private readonly last = new Map<string, Promise<void>>();
  private readonly queue: (() => void)[] = [];
  private waiting = 0;
  private inFlight = 0;
  private bytesInFlight = 0;
  private isClosed = false;
  private idle: (() => void) | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly reader: Reader,
    private readonly horizon: Horizon,
  ) {}

  /** `bytes` is what {@link checkAppend} counted. */
  async append(
    stream: string,
    events: readonly EventToAppend[],
    expected: ExpectedRevision,
    bytes: number,
  ): Promise<AppendResult> {
    if (this.isClosed) throw closed();
    if (this.waiting >= MAX_WAITING) throw overloaded(this.waiting);
    this.waiting++;
    try {
      return await this.inOrder(stream, async () => {
        await this.enter(bytes);
        try {
          return typeof expected === 'bigint' || expected === 'no-stream'
            ? await this.atRevision(stream, events, expected)
            : await this.anywhere(stream, events, expected);
        } finally {
          this.leave(bytes);
        }
      });
    } finally {
      this.waiting--;
      if (this.waiting === 0) this.idle?.();
    }
  }

  /** Takes no more; resolves when the appends that are under way have ended. */
  async close(): Promise<void> {
    this.isClosed = true;
    if (this.waiting > 0) await new Promise<void>((resolve) => (this.idle = resolve));
  }

  /**
   * The server remembers ids without a revision in memory only, so such an append is made at the revision that the
   * stream has: then a repetition is recognised without a time limit.
   */
  private async anywhere(
    stream: string,
    events: readonly EventToAppend[],
    expected: 'any' | 'stream-exists',
  ): Promise<AppendResult> {
    for (;;) {
      const newest = await this.reader.stream(stream, { direction: 'backwards', count: events.length });
      const last = newest[0];
      // No stream, or one of which retention has hidden everything.
      if (last === undefined) return this.atRevision(stream, events, expected);
      const isRepeated =
        newest.length === events.length && newest.every(({ id }, n) => id === events[events.length - 1 - n]!.id);
      if (isRepeated) return { revision: last.revision, position: last.position, repeated: true };
      try {
        return await this.atRevision(stream, events, last.revision);
      } catch (error) {
        if (!(error instanceof WrongRevision)) throw error;
      }
    }
  }

  /**
   * A fresh append lies beyond everything that was known to be in the log when it was first sent; one that lies before
   * existed already. So a repetition is recognised without another request to the server.
   */
  private async atRevision(
    stream: string,
    events: readonly EventToAppend[],
    expected: ExpectedRevision,
  ): Promise<AppendResult> {
    const known = this.horizon.position;
    return this.connection.persist(async () => {
      const { correlationId, message } = appendRequest(this.reader.names.stored(stream), events, expected);
      const reply = await this.exchange(correlationId, message);
      switch (reply.kind) {
        case 'success': {
          // The server does not look up the place of a repeated append that retention has hidden.
          const position = reply.position ?? this.horizon.position;
          this.horizon.reached(position);
          return { revision: reply.revision, position, repeated: position <= known };
        }
        case 'wrong-revision':
          throw new WrongRevision(stream, expected, reply.actual);
        case 'too-large':
          throw tooLargeForServer(reply.limit);
        case 'failed':
          throw reply.error;
      }
    });
  }

  private async exchange(correlationId: string, message: BatchAppendReq): Promise<AppendReply> {
    const line = await answeredWithin(ANSWER_MS, this.open());
    const sent = Date.now();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        line.unanswered.delete(correlationId);
        // Where others were answered meanwhile, it is not the connection.
        reject(new LostCall(line.heard > sent ? 'unanswered' : 'silence', `no answer within ${ANSWER_MS} ms`));
      }, ANSWER_MS);
      const settled = <T>(settle: (outcome: T) => void) => {
        return (outcome: T): void => {
          clearTimeout(timer);
          settle(outcome);
        };
      };
      line.unanswered.set(correlationId, { resolve: settled(resolve), reject: settled(reject) });
      line.call.write(message);
    });
  }

  private open(): Promise<Line> {
    this.line ??= this.start();
    return this.line;
  }

  private async start(): Promise<Line> {
    let own: Promise<Line> | undefined;
    try {
      const generation = this.connection.generation;
      const call = await this.connection.batchAppend();
      own = this.line;
      const line: Line = { call, generation, unanswered: new Map(), heard: 0 };
      const ended = (error: unknown): void => {
        if (this.line === own) this.line = undefined;
        const lost = [...line.unanswered.values()];
        line.unanswered.clear();
        for (const { reject } of lost) reject(error);
      };
      call.on('data', (reply: BatchAppendResp) => {
        line.heard = Date.now();
        const correlationId = reply.getCorrelationId()!.getString();
        const waiting = line.unanswered.get(correlationId);
        line.unanswered.delete(correlationId);
        // An answer that nobody waits for any more is not an error: its append was sent again.
        waiting?.resolve(appendReply(reply));
      });
      call.on('error', ended);
      call.on('close', () => ended(new LostCall('ended', 'the server ended the call')));
      return line;
    } catch (error) {
      this.line = undefined;
      throw error;
    }
  }

  private async inOrder<T>(stream: string, task: () => Promise<T>): Promise<T> {
    const before = this.last.get(stream);
    const own = before === undefined ? task() : before.then(task);
    const settled = own.then(
      () => undefined,
      () => undefined,
    );
    this.last.set(stream, settled);
    try {
      return await own;
    } finally {
      if (this.last.get(stream) === settled) this.last.delete(stream);
    }
  }

  private async enter(bytes: number): Promise<void> {
    const isFull = (): boolean =>
      this.inFlight >= MAX_IN_FLIGHT || (this.inFlight > 0 && this.bytesInFlight + bytes > MAX_BYTES_IN_FLIGHT);
    while (isFull()) await new Promise<void>((resolve) => this.queue.push(resolve));
    this.inFlight++;
    this.bytesInFlight += bytes;
  }

  private leave(bytes: number): void {
    this.inFlight--;
    this.bytesInFlight -= bytes;
    this.queue.shift()?.();
  }
}
