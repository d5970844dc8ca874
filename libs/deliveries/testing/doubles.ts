import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { Egress, type EgressOutcome, type EgressRequest } from '#libs/egress/src/egress.js';
import { Progress } from '#libs/event-store/src/subscriber.js';

/** Secrets in memory. */
export class MemorySecrets extends Secrets {
  readonly kept = new Map<string, string>();
  reads = 0;

  override async put(_: string, reference: string, plaintext: string): Promise<string> {
    if (!this.kept.has(reference)) this.kept.set(reference, plaintext);
    return this.kept.get(reference)!;
  }

  override async get(references: readonly string[]): Promise<ReadonlyMap<string, string>> {
    this.reads += 1;
    return new Map(
      references.flatMap((reference) => (this.kept.has(reference) ? [[reference, this.kept.get(reference)!]] : [])),
    );
  }

  override async remove(references: readonly string[]): Promise<void> {
    for (const reference of references) this.kept.delete(reference);
  }
}

/** Answers as it is told, and remembers what was asked. */
export class ScriptedEgress extends Egress {
  readonly requests: EgressRequest[] = [];
  constructor(public answer: (request: EgressRequest) => EgressOutcome | Promise<EgressOutcome> = () => answered(200)) {
    super();
  }

  override async request(request: EgressRequest): Promise<EgressOutcome> {
    request.signal.throwIfAborted();
    this.requests.push(request);
    return this.answer(request);
  }

  override refusal(): string | undefined {
    return undefined;
  }
}

export const answered = (status: number, headers: Record<string, string> = {}, body = ''): EgressOutcome => ({
  kind: 'response',
  status,
  headers,
  body: Buffer.from(body),
  truncated: false,
  latencyMs: 4,
});

/** Everything has always been handled already. */
export class NoWaiting extends Progress {
  readonly waited: [string, bigint][] = [];
  override async whenProcessed(name: string, position: bigint): Promise<void> {
    this.waited.push([name, position]);
  }
}
