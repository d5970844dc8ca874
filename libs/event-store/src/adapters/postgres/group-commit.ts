import { Transient } from '#libs/kernel/src/errors.js';

export interface GroupCommitLimits {
  /** Most requests in one batch. */
  readonly requests: number;
  /** Most bytes in one batch; a single request may be larger. */
  readonly bytes: number;
  /** Most requests that wait; beyond, new ones are refused as `log.overloaded`. */
  readonly waitingRequests: number;
  readonly waitingBytes: number;
}

export const DEFAULT_LIMITS: GroupCommitLimits = {
  requests: 1_000,
  bytes: 2 * 1024 * 1024,
  waitingRequests: 20_000,
  waitingBytes: 64 * 1024 * 1024,
};

interface Batchable {
  readonly stream: string;
  readonly bytes: number;
}

interface Waiting<Request, Answer> {
  readonly request: Request;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: whatever arrives while a batch is in flight becomes the next batch. No timer: an idle log takes a
 * request at once, a busy one takes many for the price of one.
 *
 * A batch holds at most one request of a stream, so that each request is judged by what is committed, and requests of
 * one stream keep their order.
 */
export class GroupCommit<Request extends Batchable, Answer> {
  private waiting: Waiting<Request, Answer>[] = [];
  private waitingBytes = 0;
  private running: Promise<void> | undefined;

  /** `commit` answers each request of a batch, in order; if it throws, nothing is known about any of them. */
  constructor(
    private readonly commit: (batch: readonly Request[]) => Promise<readonly Answer[]>,
    private readonly limits: GroupCommitLimits = DEFAULT_LIMITS,
  ) {}

  submit(request: Request): Promise<Answer> {
    const { waitingRequests, waitingBytes } = this.limits;
    if (this.waiting.length >= waitingRequests || this.waitingBytes + request.bytes > waitingBytes)
      return Promise.reject(
        new Transient('log.overloaded', 'Too many appends are waiting for the log. Try again in a moment.'),
      );
    return new Promise((resolve, reject) => {
      this.waiting.push({ request, resolve, reject });
      this.waitingBytes += request.bytes;
      this.running ??= this.run();
    });
  }

  /** Resolves when nothing waits and nothing is in flight. */
  async idle(): Promise<void> {
    while (this.running) await this.running;
  }

  private async run(): Promise<void> {
    while (this.waiting.length > 0) {
      // One turn of the event loop, so that all requests that arrived in this one are taken together.
      await new Promise((resolve) => setImmediate(resolve));
      await this.settle(this.nextBatch());
    }
    this.running = undefined;
  }

  private nextBatch(): Waiting<Request, Answer>[] {
    const batch: Waiting<Request, Answer>[] = [];
    const later: Waiting<Request, Answer>[] = [];
    const streams = new Set<string>();
    let bytes = 0;
    for (const [index, waiting] of this.waiting.entries()) {
      const { stream, bytes: own } = waiting.request;
      if (batch.length === this.limits.requests || (batch.length > 0 && bytes + own > this.limits.bytes)) {
        later.push(...this.waiting.slice(index));
        break;
      }
      if (streams.has(stream)) later.push(waiting);
      else {
        streams.add(stream);
        batch.push(waiting);
        bytes += own;
      }
    }
    this.waiting = later;
    this.waitingBytes -= bytes;
    return batch;
  }

  private async settle(batch: readonly Waiting<Request, Answer>[]): Promise<void> {
    try {
      const answers = await this.commit(batch.map(({ request }) => request));
      for (const [index, { resolve }] of batch.entries()) resolve(answers[index]!);
    } catch (error) {
      if (error instanceof Transient) {
        // Those that wait would meet the same: better an answer now than after as long again.
        for (const { reject } of [...batch, ...this.waiting]) reject(error);
        this.waiting = [];
        this.waitingBytes = 0;
      } else if (batch.length > 1) {
        // One of them breaks the statement; alone it breaks its own only.
        for (const one of batch) await this.settle([one]);
      } else batch[0]!.reject(error);
    }
  }
}
