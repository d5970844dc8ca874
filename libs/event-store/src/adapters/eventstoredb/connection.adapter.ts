import { EventStoreDBClient } from '@eventstore/db-client';
import streamsGrpcPb from '@eventstore/db-client/generated/streams_grpc_pb.js';
import type { StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb.js';
import type { BatchAppendReq, BatchAppendResp, ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import type { CallOptions, ClientDuplexStream, ClientReadableStream, Metadata } from '@grpc/grpc-js';

import { Rejected, Transient } from '#libs/kernel/src/errors.js';

import { WrongRevision } from '../../event-store.js';
import { classify, closed, LostCall, unavailable } from './errors.adapter.js';
import { pauseBefore } from './pause.js';

type Call = ClientReadableStream<ReadResp> | ClientDuplexStream<BatchAppendReq, BatchAppendResp>;

/**
 * Opens the client's protected seams to this file. How it parses connection strings, discovers a cluster by gossip,
 * follows the leader, authenticates and keeps the connection alive stays its own; what is said over the connection is
 * ours, because its `appendToStream` and its conversion of events lose what the port promises (docs/decisions).
 */
class Seams extends EventStoreDBClient {
  /** Everything goes to the leader: what was just written is read, and a node that lost its office says so. */
  static open<T extends Call>(client: Seams, name: string, start: Start<T>): Promise<T> {
    const { GRPCStreamCreator, callArguments } = client;
    return GRPCStreamCreator(streamsGrpcPb.StreamsClient, name, (grpc) =>
      start(grpc, callArguments({ requiresLeader: true }, { deadline: Infinity })),
    )();
  }
}

type Start<T extends Call> = (grpc: StreamsClient, args: [Metadata, CallOptions]) => T;

/** How long a caller is kept waiting for a server that refuses or breaks connections. */
const PATIENCE_MS = 4_000;

interface Live {
  readonly call: Call;
  /** Ends the call as lost, on our side and for its callers. */
  readonly lose: (error: LostCall) => void;
}

/**
 * The one connection of this process. A connection that failed is replaced as a whole: channels of grpc-js with equal
 * options share their sockets, so that a new channel alone would be given the same silent socket again. Each
 * replacement differs from those before in one option that does no harm.
 */
export class Connection {
  private client: EventStoreDBClient;
  private grpc: StreamsClient | undefined;
  private readonly live = new Set<Live>();
  private isClosed = false;
  private failingSince: number | undefined;
  /** Counts replacements; a call that fails names the connection it failed on. */
  generation = 0;

  /** @throws Error if the connection string cannot be read. */
  constructor(private readonly connectionString: string) {
    this.client = EventStoreDBClient.connectionString(connectionString);
  }

  read(request: ReadReq): Promise<ClientReadableStream<ReadResp>> {
    return this.open('read', (grpc, args) => grpc.read(request, ...args));
  }

  batchAppend(): Promise<ClientDuplexStream<BatchAppendReq, BatchAppendResp>> {
    return this.open('batchAppend', (grpc, args) => grpc.batchAppend(...args));
  }

  /** Replaces the connection if `generation` is still the one in use; all its calls end as lost. */
  replace(generation: number, reason: string): void {
    if (generation !== this.generation || this.isClosed) return;
    this.generation++;
    const { client, grpc } = this;
    const lost = [...this.live];
    this.live.clear();
    this.grpc = undefined;
    this.client = EventStoreDBClient.connectionString(distinct(this.connectionString, this.generation));
    for (const { lose } of lost) lose(new LostCall('replaced', reason));
    void client.dispose().catch(() => undefined);
    grpc?.getChannel().close();
  }

  /**
   * Tries until it succeeds, fails permanently, or four seconds have passed, with growing pauses; at least twice, unless
   * nothing has succeeded for that long anyway. What is tried must be safe to do again.
   * @throws Transient `log.unavailable`
   */
  async persist<T>(attempt: () => Promise<T>): Promise<T> {
    const start = Date.now();
    for (let tries = 1; ; tries++) {
      if (this.isClosed) throw closed();
      const generation = this.generation;
      try {
        const result = await attempt();
        this.failingSince = undefined;
        return result;
      } catch (error) {
        if (error instanceof WrongRevision || error instanceof Rejected || error instanceof Transient) {
          this.failingSince = undefined;
          throw error;
        }
        const failure = this.failed(error, generation);
        if (failure.kind === 'fatal') throw failure.error;
        this.failingSince ??= start;
        const isKnownToBeDown = this.failingSince < start - PATIENCE_MS;
        // A call that ended because of another one has not had its chance.
        const isVictim = error instanceof LostCall && error.why === 'replaced';
        const spent = Date.now() - start;
        if (isKnownToBeDown || (spent > PATIENCE_MS && tries > 1 && !isVictim) || spent > 2 * PATIENCE_MS)
          throw unavailable(failure.reason);
      }
      await pauseBefore(tries);
    }
  }

  /** What an error means; a connection that it discredits is replaced at once. */
  failed(error: unknown, generation: number): ReturnType<typeof classify> {
    const failure = classify(error);
    if (failure.kind === 'retry' && failure.reconnect) this.replace(generation, failure.reason);
    return failure;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const lost = [...this.live];
    this.live.clear();
    for (const { lose } of lost) lose(new LostCall('ended', 'closed'));
    await this.client.dispose();
    this.grpc?.getChannel().close();
  }

  private async open<T extends Call>(name: string, start: Start<T>): Promise<T> {
    if (this.isClosed) throw closed();
    const generation = this.generation;
    const call = await Seams.open(this.client, name, (grpc, args) => {
      if (generation === this.generation) this.grpc = grpc;
      return start(grpc, args);
    });
    // Without a listener an error would end the process.
    call.on('error', () => undefined);
    if (generation !== this.generation || this.isClosed) {
      call.cancel();
      throw new LostCall('replaced', 'the connection was replaced meanwhile');
    }
    const entry: Live = {
      call,
      lose: (error) => {
        // First the reason, then the cancellation, which would give its own.
        call.destroy(error);
        setImmediate(() => call.cancel());
      },
    };
    this.live.add(entry);
    call.once('close', () => this.live.delete(entry));
    return call;
  }
}

const KEEP_ALIVE_MS = 10_000;

/** The same connection string with a keep-alive interval that no earlier connection of the last minutes had. */
function distinct(connectionString: string, generation: number): string {
  const interval = /[?&]keepAliveInterval=(-?\d+)/i.exec(connectionString)?.[1];
  if (interval !== undefined && Number(interval) < 0) return connectionString;
  const chosen = `keepAliveInterval=${Number(interval ?? KEEP_ALIVE_MS) + (generation % 1000)}`;
  if (interval !== undefined) return connectionString.replace(/keepAliveInterval=-?\d+/i, chosen);
  return `${connectionString}${connectionString.includes('?') ? '&' : '?'}${chosen}`;
}
