import gossipGrpcPb from '@eventstore/db-client/generated/gossip_grpc_pb.js';
import gossipPb from '@eventstore/db-client/generated/gossip_pb.js';
import type { ClusterInfo } from '@eventstore/db-client/generated/gossip_pb.js';
import featuresGrpcPb from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js';
import featuresPb from '@eventstore/db-client/generated/serverfeatures_pb.js';
import type { SupportedMethods } from '@eventstore/db-client/generated/serverfeatures_pb.js';
import streamsGrpcPb from '@eventstore/db-client/generated/streams_grpc_pb.js';
import {
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';

import { StreamNames } from '../../src/names/stream-names.js';
import { DoubleLog } from './double-log.js';
import { Faults } from './faults.js';
import { FaultyLink } from './faulty-link.js';
import { Streams } from './streams.adapter.js';
import { Subscriptions } from './subscriptions.adapter.js';

/** A node as gossip lists it. */
export interface Member {
  readonly host: string;
  readonly port: number;
  readonly state: 'leader' | 'follower' | 'catching-up';
  readonly alive?: boolean;
}

/**
 * A node of EventStoreDB on the wire: the protocol that the client's package ships, over a log in memory, behind a
 * link that can be cut, reset and frozen. It enforces expected revisions and idempotence as the server does.
 */
export class EventStoreDbDouble {
  readonly faults = new Faults();
  /** What gossip answers; default this node alone, as leader. */
  members: readonly Member[] | undefined;
  /** Requests served, by method: to see that concurrent appends share a call. */
  readonly calls = new Map<string, number>();
  port = 0;

  private readonly subscriptions: Subscriptions;
  private readonly server = new Server({ 'grpc.max_receive_message_length': 17 * 1024 * 1024 });
  private link!: FaultyLink;

  private constructor(readonly log: DoubleLog) {
    this.subscriptions = new Subscriptions(log);
    const streams = new Streams(log, this.subscriptions, this.faults);
    this.add(streamsGrpcPb.StreamsService, {
      read: streams.read,
      append: streams.append,
      batchAppend: streams.batchAppend,
    });
    this.add(gossipGrpcPb.GossipService, { read: this.gossip });
    this.add(featuresGrpcPb.ServerFeaturesService, { getSupportedMethods: this.features });
  }

  /** Starts on `port` (default: a free one), on loopback. Nodes of one cluster share a log. */
  static async start(options: { port?: number; log?: DoubleLog } = {}): Promise<EventStoreDbDouble> {
    const double = new EventStoreDbDouble(options.log ?? new DoubleLog());
    const inner = await new Promise<number>((resolve, reject) =>
      double.server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      ),
    );
    double.link = new FaultyLink(inner);
    double.faults.cut = () => double.link.drop();
    double.port = await double.link.listen(options.port ?? 0);
    return double;
  }

  get connectionString(): string {
    return `esdb://127.0.0.1:${this.port}?tls=false`;
  }

  get liveSubscriptions(): number {
    return this.subscriptions.size;
  }

  /** As `kill -9`: every connection is reset and nothing listens. What was stored stays stored. */
  async kill(): Promise<void> {
    await this.link.cut();
    this.log.forgetIds();
  }

  /** On the same port, with the same data. */
  async restart(): Promise<void> {
    await this.link.listen(this.port);
  }

  /** Accepts and stays silent; with `'answers'`, requests are still carried out. */
  freeze(towards: 'both' | 'answers' = 'both'): void {
    this.link.freeze(towards);
  }

  thaw(): void {
    this.link.thaw();
  }

  /** Connections that stand fall silent for good, new ones work: a peer that went away without a word. */
  halfOpen(): void {
    this.link.halfOpen();
  }

  /** Resets every connection; the next attempt succeeds. */
  dropConnections(): void {
    this.link.drop();
  }

  /** Ends the live subscriptions alone, as a node does that changes its office. */
  dropSubscriptions(): void {
    this.subscriptions.drop(status.CANCELLED, 'Subscription dropped by the server');
  }

  /** A write of another client, which no adapter made; to a stream with the usual prefix, unless the name is given as stored. */
  append(
    stream: string,
    type: string,
    data: object | Buffer,
    id: string,
    { stored = new StreamNames().stored(stream), metadata = '{}' } = {},
  ): void {
    const json = !Buffer.isBuffer(data);
    const bytes = Buffer.isBuffer(data) ? data : Buffer.from(JSON.stringify(data));
    this.log.append(stored, [{ id, type, json, data: bytes, metadata: Buffer.from(metadata) }], 'any');
    this.subscriptions.appended();
  }

  async stop(): Promise<void> {
    await this.link.cut();
    this.server.forceShutdown();
  }

  private add(service: object, handlers: UntypedServiceImplementation): void {
    const counted = Object.entries(handlers).map(([name, handler]) => [
      name,
      (...args: unknown[]) => {
        this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
        (handler as (...args: unknown[]) => void)(...args);
      },
    ]);
    this.server.addService(service as never, Object.fromEntries(counted) as UntypedServiceImplementation);
  }

  private readonly gossip = (_call: ServerUnaryCall<unknown, ClusterInfo>, reply: sendUnaryData<ClusterInfo>): void => {
    const { VNodeState } = gossipPb.MemberInfo;
    const states = { leader: VNodeState.LEADER, follower: VNodeState.FOLLOWER, 'catching-up': VNodeState.CATCHINGUP };
    const info = new gossipPb.ClusterInfo();
    const members = this.members ?? [{ host: '127.0.0.1', port: this.port, state: 'leader' as const }];
    for (const { host, port, state, alive = true } of members)
      info.addMembers(
        new gossipPb.MemberInfo()
          .setState(states[state])
          .setIsAlive(alive)
          .setHttpEndPoint(new gossipPb.EndPoint().setAddress(host).setPort(port)),
      );
    reply(null, info);
  };

  private readonly features = (
    _call: ServerUnaryCall<unknown, SupportedMethods>,
    reply: sendUnaryData<SupportedMethods>,
  ): void => {
    const methods = new featuresPb.SupportedMethods().setEventStoreServerVersion('24.10.5');
    const names = ['read', 'append', 'batchappend'];
    for (const name of names)
      methods.addMethods(
        new featuresPb.SupportedMethod().setMethodName(name).setServiceName('event_store.client.streams.streams'),
      );
    reply(null, methods);
  };
}
