import { randomUUID } from 'node:crypto';

import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import type { ServerWritableStream } from '@grpc/grpc-js';

import type { DoubleLog } from './double-log.js';
import {
  caughtUp,
  checkpoint,
  checkpointEvery,
  confirmation,
  fellBehind,
  filterOf,
  readEvent,
} from './wire.adapter.js';

/** The server keeps this many live events for a client that does not keep up, then goes back to reading. */
const LIVE_BUFFER = 32;

/**
 * Subscriptions to `$all`: catch up, say so, go live, and fall behind when the client does not read. Positions are
 * exclusive. Filtered ones report a checkpoint every so many considered events.
 */
export class Subscriptions {
  private readonly live = new Set<Subscription>();

  constructor(private readonly log: DoubleLog) {}

  get size(): number {
    return this.live.size;
  }

  open(call: ServerWritableStream<ReadReq, ReadResp>): void {
    const subscription = new Subscription(call, this.log);
    this.live.add(subscription);
    call.on('cancelled', () => this.live.delete(subscription));
    call.on('close', () => this.live.delete(subscription));
    subscription.pump();
  }

  appended(): void {
    for (const subscription of this.live) subscription.pump();
  }

  /** Ends every live subscription with the given status. */
  drop(code: number, details: string): void {
    for (const { call } of this.live) call.emit('error', Object.assign(new Error(details), { code, details }));
    this.live.clear();
  }
}

class Subscription {
  private next: number;
  private considered = 0;
  private isLive = false;
  private blocked = false;
  private readonly matches: ReturnType<typeof filterOf>;
  private readonly interval: number;

  constructor(
    readonly call: ServerWritableStream<ReadReq, ReadResp>,
    private readonly log: DoubleLog,
  ) {
    const options = call.request.getOptions()!;
    const all = options.getAll()!;
    this.matches = filterOf(options);
    this.interval = checkpointEvery(options);
    const { all: events } = log;
    if (all.hasEnd()) this.next = events.length;
    else if (all.hasStart()) this.next = 0;
    else {
      const from = BigInt(all.getPosition()!.getCommitPosition());
      this.next = log.indexFrom(from);
      // A position with a smaller prepare than commit lies before the event: the server sends that event again.
      const prepare = BigInt(all.getPosition()!.getPreparePosition());
      if (events[this.next]?.position === from && prepare >= from) this.next++;
    }
    call.write(confirmation(randomUUID()));
  }

  pump(): void {
    const { all } = this.log;
    if (this.blocked) {
      if (this.isLive && all.length - this.next > LIVE_BUFFER) {
        this.isLive = false;
        this.call.write(fellBehind());
      }
      return;
    }
    while (this.next < all.length) {
      const event = all[this.next++]!;
      let flowing = true;
      if (this.matches(event)) flowing = this.call.write(readEvent(this.log.sends(event), true));
      if (++this.considered >= this.interval) {
        this.considered = 0;
        flowing = this.call.write(checkpoint(event.position));
      }
      if (!flowing) {
        this.blocked = true;
        this.call.once('drain', () => {
          this.blocked = false;
          this.pump();
        });
        return;
      }
    }
    if (this.isLive) return;
    this.isLive = true;
    this.call.write(caughtUp());
  }
}
