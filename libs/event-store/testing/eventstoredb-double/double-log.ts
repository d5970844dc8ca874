/** What a node of EventStoreDB keeps: streams, `$all`, expected revisions, and its two kinds of idempotence. */
export interface StoredEvent {
  readonly stream: string;
  readonly revision: bigint;
  /** Where the record begins in the transaction file: increasing, with gaps. */
  readonly position: bigint;
  /** Position of the first event of the same append: what the server reports as the prepare position. */
  readonly transaction: bigint;
  readonly id: string;
  readonly type: string;
  readonly json: boolean;
  readonly data: Uint8Array;
  readonly metadata: Uint8Array;
  /** 100 ns since 1970. */
  readonly created: bigint;
}

export type ProposedEvent = Pick<StoredEvent, 'id' | 'type' | 'json' | 'data' | 'metadata'>;
export type Expectation = bigint | 'no-stream' | 'stream-exists' | 'any';
export type AppendOutcome =
  | { readonly kind: 'stored' | 'idempotent'; readonly revision: bigint; readonly position: bigint | undefined }
  | { readonly kind: 'wrong'; readonly current: bigint | undefined };

/** What the server counts for one record besides data, metadata and type; the figure matters less than that there is one. */
const RECORD_OVERHEAD = 90;

export class DoubleLog {
  readonly all: StoredEvent[] = [];
  /** Events that were sent to clients, by stream: to see what the server was asked to leave out. */
  readonly sent = new Map<string, number>();
  private readonly streams = new Map<string, StoredEvent[]>();
  /** The server's cache of ids, which alone makes appends without a revision idempotent. Lost with the process. */
  private readonly cache = new Map<string, StoredEvent>();
  private end = 0n;

  constructor(private readonly now: () => number = Date.now) {
    // A new node has records of its own before the first user event, one of them without `$` in its type.
    this.append('$$$settings', [system('$metadata', '{"$acl":{"$r":"$all"}}')], 'no-stream');
    this.append('$persistentSubscriptionConfig', [system('PersistentConfig1', '{"version":"1"}')], 'no-stream');
  }

  append(stream: string, events: readonly ProposedEvent[], expected: Expectation): AppendOutcome {
    const existing = this.streams.get(stream) ?? [];
    const last = BigInt(existing.length) - 1n;
    if (expected === 'stream-exists' && last < 0n && !this.streams.has(`$$${stream}`))
      return { kind: 'wrong', current: undefined };
    const earlier = this.earlier(stream, existing, events, expected);
    if (earlier === 'corrupt') return { kind: 'wrong', current: last };
    if (earlier !== undefined) {
      const visible = earlier.revision >= this.truncatedBefore(stream);
      return { kind: 'idempotent', revision: earlier.revision, position: visible ? earlier.position : undefined };
    }
    const wanted = expected === 'no-stream' ? -1n : expected;
    if (typeof wanted === 'bigint' && wanted !== last) return { kind: 'wrong', current: last < 0n ? undefined : last };
    const transaction = this.end;
    const created = BigInt(this.now()) * 10_000n;
    for (const event of events) {
      const stored = { ...event, stream, revision: BigInt(existing.length), position: this.end, transaction, created };
      existing.push(stored);
      this.all.push(stored);
      this.cache.set(`${stream}\0${event.id}`, stored);
      this.end += BigInt(
        RECORD_OVERHEAD + stream.length + event.type.length + event.data.length + event.metadata.length,
      );
    }
    this.streams.set(stream, existing);
    const { revision, position } = existing.at(-1)!;
    return { kind: 'stored', revision, position };
  }

  sends(event: StoredEvent): StoredEvent {
    this.sent.set(event.stream, (this.sent.get(event.stream) ?? 0) + 1);
    return event;
  }

  /** Visible events, or `undefined` if nothing was ever appended to the stream. */
  stream(name: string): readonly StoredEvent[] | undefined {
    const events = this.streams.get(name);
    const before = this.truncatedBefore(name);
    return before === 0n ? events : events?.slice(Number(before));
  }

  /** A restarted process has an empty cache of ids. */
  forgetIds(): void {
    this.cache.clear();
  }

  /** Index in `all` of the first event at or after `position`. */
  indexFrom(position: bigint): number {
    let low = 0;
    let high = this.all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.all[middle]!.position < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private truncatedBefore(stream: string): bigint {
    const metadata = this.streams.get(`$$${stream}`)?.at(-1);
    if (!metadata) return 0n;
    const { $tb } = JSON.parse(Buffer.from(metadata.data).toString()) as { $tb?: number };
    return BigInt($tb ?? 0);
  }

  private earlier(
    stream: string,
    existing: readonly StoredEvent[],
    events: readonly ProposedEvent[],
    expected: Expectation,
  ): StoredEvent | 'corrupt' | undefined {
    const byRevision = typeof expected === 'bigint' || expected === 'no-stream';
    const first = expected === 'no-stream' ? 0 : typeof expected === 'bigint' ? Number(expected) + 1 : 0;
    if (byRevision && first >= existing.length) return undefined;
    let last: StoredEvent | undefined;
    for (const [index, { id }] of events.entries()) {
      const known = byRevision ? existing[first + index] : this.cache.get(`${stream}\0${id}`);
      if (known?.id !== id) return index === 0 ? undefined : 'corrupt';
      last = known;
    }
    return last;
  }
}

let systemIds = 0;
function system(type: string, data: string): ProposedEvent {
  const id = `00000000-0000-4000-8000-${String(++systemIds).padStart(12, '0')}`;
  return { id, type, json: true, data: Buffer.from(data), metadata: Buffer.alloc(0) };
}
