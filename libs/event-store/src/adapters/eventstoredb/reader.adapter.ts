import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';

import type { RecordedEvent } from '../../event-store.js';
import type { StreamNames } from '../../names/stream-names.js';
import type { Connection } from './connection.adapter.js';
import { LostCall } from './errors.adapter.js';
import { allOf, isHidden, readAllRequest, readStreamRequest, recordedEvent } from './wire.adapter.js';

export interface Page {
  readonly events: readonly RecordedEvent[];
  /** False if the page was cut off because it grew too large. */
  readonly complete: boolean;
}

export interface ReadLimits {
  /** The server may be silent this long; a filtered read that finds nothing is silent until its end. */
  readonly silenceMs?: number;
  /** The page ends early when it holds this much. */
  readonly maxBytes?: number;
}

/** Silence after which an answer that takes no search is given up. */
export const SILENCE_MS = 5_000;
/** Silence while the server searches a long log; that it lives is watched by the tail meanwhile. */
export const SEARCH_SILENCE_MS = 60_000;

/** Reads pages: each call ends, is safe to repeat, and is repeated while the server cannot be reached. */
export class Reader {
  constructor(
    private readonly connection: Connection,
    readonly names: StreamNames,
  ) {}

  /** @throws Transient `log.unavailable` */
  read(request: ReadReq, limits: ReadLimits = {}): Promise<Page> {
    return this.connection.persist(() => this.once(request, limits));
  }

  /** The position of the very last record, the server's own included; `undefined` if there is none. */
  async end(limits: ReadLimits = {}): Promise<bigint | undefined> {
    const request = readAllRequest({ direction: 'backwards', count: 1 }, 'everything');
    return (await this.read(request, limits)).events[0]?.position;
  }

  /** Events of one stream of ours, or of its metadata. */
  async stream(
    stream: string,
    options: { from?: bigint | undefined; direction: 'forwards' | 'backwards'; count: number },
  ): Promise<readonly RecordedEvent[]> {
    return (await this.read(readStreamRequest(this.names.stored(stream), options))).events;
  }

  /**
   * The newest event of ours. The server searches backwards through what others have written since: once at the start.
   */
  async newest(): Promise<RecordedEvent | undefined> {
    for (let at: bigint | undefined, count = 1; ; count = 100) {
      const request = readAllRequest({ at, direction: 'backwards', count }, allOf(this.names));
      const { events } = await this.read(request, { silenceMs: SEARCH_SILENCE_MS });
      const newest = events.find((event) => !isHidden(event));
      if (newest || events.length < count) return newest;
      at = events.at(-1)!.position;
    }
  }

  /** A position that none of ours lies before, found by one search; `undefined` if there are none. */
  async first(): Promise<bigint | undefined> {
    const request = readAllRequest({ direction: 'forwards', count: 1 }, allOf(this.names));
    return (await this.read(request, { silenceMs: SEARCH_SILENCE_MS })).events[0]?.position;
  }

  private async once(request: ReadReq, { silenceMs = SILENCE_MS, maxBytes = Infinity }: ReadLimits): Promise<Page> {
    const call = await answeredWithin(silenceMs, this.connection.read(request));
    const events: RecordedEvent[] = [];
    let bytes = 0;
    return new Promise((resolve, reject) => {
      let heard = Date.now();
      const watch = setInterval(() => {
        if (Date.now() - heard < silenceMs) return;
        settle(() => reject(new LostCall('silence', `no answer within ${silenceMs} ms`)));
        call.cancel();
      }, silenceMs / 4);
      const settle = (how: () => void): void => {
        clearInterval(watch);
        how();
      };
      call.on('data', (message: ReadResp) => {
        heard = Date.now();
        if (!message.hasEvent()) return;
        const event = recordedEvent(this.names, message.getEvent()!);
        events.push(event);
        bytes += event.bytes;
        if (bytes <= maxBytes) return;
        settle(() => resolve({ events, complete: false }));
        call.removeAllListeners('data');
        call.cancel();
      });
      call.on('end', () => settle(() => resolve({ events, complete: true })));
      call.on('error', (error) => settle(() => reject(error)));
    });
  }
}

/** The promise, or a lost call if it takes longer: what the client leaves pending must not keep its caller. */
export async function answeredWithin<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new LostCall('silence', `no answer within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
