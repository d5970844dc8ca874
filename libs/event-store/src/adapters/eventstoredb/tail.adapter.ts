import type { ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import type { ClientReadableStream } from '@grpc/grpc-js';

import { messageOf } from '#libs/kernel/src/errors.js';

import type { RecordedEvent } from '../../event-store.js';
import { News } from '../news.js';
import type { Connection } from './connection.adapter.js';
import { LostCall } from './errors.adapter.js';
import type { Horizon } from './horizon.js';
import { pauseBefore } from './pause.js';
import { answeredWithin, type Reader, type ReadLimits, SILENCE_MS } from './reader.adapter.js';
import type { TailBuffer } from './tail-buffer.js';
import type { Truncations } from './truncations.adapter.js';
import { allAndMetadataOf, allOf, isHidden, readAllRequest, recordedEvent, subscribeRequest } from './wire.adapter.js';

/** A quiet subscription is asked about this often: the server may be idle, or gone. */
const HEARTBEAT_MS = 2_000;
const HEARTBEAT_SILENCE_MS = 3_000;

/**
 * The one supervised subscription of this process: everything of ours, from where the log ended when it began. A catch-up
 * subscription of the client never reconnects; this one resubscribes from the last position it has seen, with growing
 * pauses, without a limit. States: **lost** (no subscription; the buffer stays valid), **behind** (subscribed, catching up),
 * **live** (what is appended arrives).
 *
 * Every event of ours moves everybody's position at once. What others write moves it now and then, by checkpoints of the
 * server; nobody waits for it.
 */
export class Tail {
  state: 'lost' | 'behind' | 'live' = 'lost';
  /** Number of times the connection was lost, and why last: subscriptions tell their consumers once each. */
  losses = 0;
  lossReason = '';
  isClosed = false;
  /** Position of the newest event of ours that was seen; 0n if there was none. */
  newest = 0n;
  readonly news = new News();
  private running: Promise<void> | undefined;
  private current: { lose(error: Error): void } | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly reader: Reader,
    readonly buffer: TailBuffer,
    private readonly horizon: Horizon,
    private readonly truncations: Truncations,
  ) {}

  /** @throws Transient `log.unavailable` if the end of the log cannot be read now. */
  async begin(): Promise<void> {
    const end = await this.reader.end();
    this.buffer.begin(end ?? 0n);
    this.horizon.reached(end ?? 0n);
    // Read after the end: what comes in between is brought by the subscription too.
    const [newest, first] = await Promise.all([this.reader.newest(), this.reader.first()]);
    this.newest = newest?.position ?? 0n;
    this.horizon.first = first ?? end ?? 0n;
    this.running = this.follow();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.current?.lose(new LostCall('ended', 'closed'));
    this.news.tell();
    await this.running;
  }

  /**
   * Position of the newest event of ours, also one that the subscription has not brought yet. What lies after that is
   * short, however much others write: checkpoints move along.
   */
  async head(): Promise<bigint> {
    const count = 500;
    for (let at = this.buffer.seen!; ;) {
      const page = await this.ours(at, count);
      for (const event of page) if (!isHidden(event) && event.position > this.newest) this.newest = event.position;
      if (page.length < count) return this.newest;
      at = page.at(-1)!.position;
    }
  }

  /** From a position on, inclusive. */
  private async ours(from: bigint, count: number, limits: ReadLimits = {}): Promise<readonly RecordedEvent[]> {
    const at = from === 0n ? undefined : from;
    const request = readAllRequest({ at, direction: 'forwards', count }, allOf(this.reader.names));
    return (await this.reader.read(request, limits)).events;
  }

  private async follow(): Promise<void> {
    for (let failures = 0; !this.isClosed;) {
      const generation = this.connection.generation;
      try {
        const seen = this.buffer.seen!;
        const request = subscribeRequest(seen === 0n ? 'start' : seen, allAndMetadataOf(this.reader.names));
        const call = await answeredWithin(SILENCE_MS, this.connection.read(request));
        await this.drain(call, () => (failures = 0));
      } catch (error) {
        if (this.isClosed) return;
        this.connection.failed(error, generation);
        this.lost(messageOf(error));
      }
      if (!this.isClosed) await pauseBefore(++failures);
    }
  }

  /** Takes what the subscription brings, until it ends; it always ends by throwing. */
  private async drain(call: ClientReadableStream<ReadResp>, isAlive: () => void): Promise<never> {
    let heard = Date.now();
    let asking = false;
    const ask = async (lose: (error: Error) => void): Promise<void> => {
      if (asking || Date.now() - heard < HEARTBEAT_MS) return;
      asking = true;
      const seen = this.buffer.seen!;
      // A server that does not answer makes the reader replace the connection, and this call is lost with it.
      const next = await this.ours(seen, 2, { silenceMs: HEARTBEAT_SILENCE_MS }).catch(() => []);
      const isMissing = next.some((event) => event.position > seen && !isHidden(event));
      const isStuck = isMissing && seen === this.buffer.seen && Date.now() - heard > SILENCE_MS;
      if (isStuck) lose(new LostCall('ended', 'the subscription stopped delivering'));
      asking = false;
    };
    let heartbeat: NodeJS.Timeout | undefined;
    try {
      return await new Promise<never>((_, reject) => {
        const lose = (error: Error): void => {
          call.cancel();
          reject(error);
        };
        this.current = { lose };
        heartbeat = setInterval(() => void ask(lose), HEARTBEAT_MS);
        call.on('data', (message: ReadResp) => {
          heard = Date.now();
          isAlive();
          this.take(message);
        });
        call.on('error', reject);
        call.on('end', () => reject(new LostCall('ended', 'the server ended the subscription')));
        call.on('close', () => reject(new LostCall('ended', 'the connection was closed')));
        if (this.isClosed) lose(new LostCall('ended', 'closed'));
      });
    } finally {
      clearInterval(heartbeat);
      this.current = undefined;
    }
  }

  private take(message: ReadResp): void {
    if (message.hasConfirmation()) this.state = 'behind';
    else if (message.hasCaughtUp()) this.state = 'live';
    else if (message.hasFellBehind()) this.state = 'behind';
    else if (message.hasEvent()) this.store(recordedEvent(this.reader.names, message.getEvent()!));
    else if (message.hasCheckpoint()) this.passed(BigInt(message.getCheckpoint()!.getCommitPosition()));
    else return;
    this.news.tellSoon();
  }

  private store(event: RecordedEvent): void {
    this.truncations.note(event);
    if (isHidden(event)) return this.passed(event.position);
    this.buffer.push(event);
    if (event.position > this.newest) this.newest = event.position;
    this.horizon.reached(event.position);
  }

  private passed(position: bigint): void {
    this.buffer.passed(position);
    this.horizon.reached(position);
  }

  private lost(reason: string): void {
    if (this.state !== 'lost') {
      this.losses++;
      this.lossReason = reason;
    }
    this.state = 'lost';
    this.news.tell();
  }
}
