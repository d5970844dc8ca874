import { Readable } from 'node:stream';

import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

/** Bytes that a client has not read yet, beyond which events are left out. */
export const MAX_UNREAD = 1024 * 1024;
/** How long browsers wait before they connect again. */
const RETRY_MS = 2_000;

/** Events that a client did not get, since it reads too slowly. */
interface Gap {
  readonly count: number;
  readonly fromPosition: bigint;
  readonly toPosition: bigint;
}

/** Why a stream ends. */
export interface Ending {
  readonly code: string;
  readonly detail: string;
}

/**
 * The answer to one client as server-sent events. Each message has the position as its `id`, so that a client which
 * connects again goes on from there. Memory is bounded: {@link room} waits until the client has read on, {@link offer}
 * counts what it left out.
 */
export class EventStream {
  readonly output: Readable;
  private gap: Gap | undefined;
  private waiting: (() => void) | undefined;
  private hasEnded = false;

  constructor(start: bigint) {
    this.output = new Readable({ highWaterMark: MAX_UNREAD, read: () => this.readOn() });
    this.output.once('close', () => this.wake());
    this.output.push(`retry: ${RETRY_MS}\nid: ${start}\n\n`);
  }

  get hasRoom(): boolean {
    return this.output.readableLength < MAX_UNREAD;
  }

  /** Resolves when the client has read on, or is gone. */
  async room(): Promise<void> {
    while (!this.hasRoom && !this.isOver) await new Promise<void>((resolve) => (this.waiting = resolve));
  }

  /** Sends an event, or counts it as left out. `json` makes its JSON text. */
  offer(position: bigint, json: () => string): void {
    if (this.isOver) return;
    if (this.hasRoom) {
      this.tellGap();
      this.message(position, json());
    } else
      this.gap = {
        count: (this.gap?.count ?? 0) + 1,
        fromPosition: this.gap?.fromPosition ?? position,
        toPosition: position,
      };
  }

  /** Keeps proxies from closing a quiet connection, and tells how far the log was looked through. */
  beat(position: bigint): void {
    if (this.isOver || !this.hasRoom) return;
    this.tellGap();
    this.output.push(`: keep-alive\nid: ${position}\n\n`);
  }

  /** The last message. What was sent before may still be read. */
  end(ending: Ending): void {
    if (this.isOver) return;
    this.tellGap();
    this.output.push(`event: end\ndata: ${stringifyJson(ending)}\n\n`);
    this.output.push(null);
    this.hasEnded = true;
    this.wake();
  }

  private get isOver(): boolean {
    return this.hasEnded || this.output.destroyed;
  }

  private readOn(): void {
    if (this.hasRoom) this.tellGap();
    this.wake();
  }

  private wake(): void {
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.();
  }

  private tellGap(): void {
    const { gap } = this;
    if (!gap) return;
    this.gap = undefined;
    const { count, fromPosition, toPosition } = gap;
    const data = { count, fromPosition: String(fromPosition), toPosition: String(toPosition) };
    this.output.push(`event: skipped\nid: ${toPosition}\ndata: ${stringifyJson(data)}\n\n`);
  }

  private message(position: bigint, json: string): void {
    // Line ends stand between the parts of the JSON text alone, where they may be kept as lines of the message.
    this.output.push(`id: ${position}\ndata: ${json.replaceAll(/\r\n?|\n/g, '\ndata: ')}\n\n`);
  }
}
