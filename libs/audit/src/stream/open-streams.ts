import { Rejected } from '#libs/kernel/src/errors.js';

import type { Ending, EventStream } from './event-stream.js';

export const MAX_STREAMS_OF_ONE = 25;
const MAX_STREAMS = 200;
const BEAT_MS = 15_000;
/** So long a client that does not read holds up the end of the process. */
const GRACE_MS = 1_000;

const STOPPING: Ending = {
  code: 'server.stopping',
  detail: 'The server stops. Connect again with Last-Event-ID.',
};

/** A stream that a client reads. */
export interface OpenStream {
  readonly orgId: string;
  readonly stream: EventStream;
  /** How far the log was looked through for it. */
  position(): bigint;
  /** Why the client may not read on, if so. */
  refusal(): Ending | undefined;
  /** Closes the connection, whatever was not sent yet. */
  cut(): void;
}

/** The streams of this process. They beat together and end with the process. */
export class OpenStreams {
  private readonly open = new Set<OpenStream>();
  private readonly timer = setInterval(() => this.beat(), BEAT_MS).unref();

  constructor(private readonly shutdown: AbortSignal) {
    shutdown.addEventListener('abort', () => this.endAll(), { once: true });
  }

  /** @throws Rejected `event_stream.busy` (429) if the organisation, or the process, has as many as it may have. */
  checkRoom(orgId: string): void {
    const own = [...this.open].filter((one) => one.orgId === orgId).length;
    if (own < MAX_STREAMS_OF_ONE && this.open.size < MAX_STREAMS && !this.shutdown.aborted) return;
    throw new Rejected(
      'rate_limited',
      'event_stream.busy',
      own >= MAX_STREAMS_OF_ONE
        ? `${own} streams of this organisation are open. Close one, then try again.`
        : 'This server has no room for another stream. Try again shortly.',
      { retryAfter: 5 },
    );
  }

  /** @returns what forgets it. */
  add(one: OpenStream): () => void {
    this.open.add(one);
    return () => this.open.delete(one);
  }

  beat(): void {
    for (const one of this.open) {
      const refusal = one.refusal();
      if (refusal) one.stream.end(refusal);
      else one.stream.beat(one.position());
    }
  }

  private endAll(): void {
    clearInterval(this.timer);
    for (const { stream, cut } of this.open) {
      stream.end(STOPPING);
      setTimeout(cut, GRACE_MS).unref();
    }
  }
}
