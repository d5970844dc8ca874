import type {
  AppendReq,
  AppendResp,
  BatchAppendReq,
  BatchAppendResp,
  ReadReq,
  ReadResp,
} from '@eventstore/db-client/generated/streams_pb.js';
import streamsPb from '@eventstore/db-client/generated/streams_pb.js';
import {
  Metadata,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerWritableStream,
  status,
} from '@grpc/grpc-js';

import type { DoubleLog, Expectation, ProposedEvent, StoredEvent } from './double-log.js';
import type { Faults, Leader } from './faults.js';
import type { Subscriptions } from './subscriptions.adapter.js';
import {
  appendReply,
  batchReply,
  expectationOf,
  filterOf,
  isLate,
  proposedEvent,
  readEvent,
  sizeOnDisk,
  streamNotFound,
  textOf,
  timedOut,
  tooLarge,
  withOutcome,
  wordsOnly,
} from './wire.adapter.js';

const MAX_APPEND_BYTES = 1024 * 1024;
const { BACKWARDS } = streamsPb.ReadReq.Options.ReadDirection;

interface Pending {
  readonly correlationId: string;
  readonly stream: string;
  readonly expected: Expectation;
  readonly events: ProposedEvent[];
}

/** `Streams.Read`, `Streams.Append` and `Streams.BatchAppend` over the double's log. */
export class Streams {
  constructor(
    private readonly log: DoubleLog,
    private readonly subscriptions: Subscriptions,
    private readonly faults: Faults,
  ) {}

  readonly read = (call: ServerWritableStream<ReadReq, ReadResp>): void => {
    if (this.refuse(call)) return;
    const options = call.request.getOptions()!;
    if (options.hasSubscription()) return this.subscriptions.open(call);
    void this.answer(call, options);
  };

  readonly batchAppend = (call: ServerDuplexStream<BatchAppendReq, BatchAppendResp>): void => {
    if (this.refuse(call)) return;
    const pending = new Map<string, Pending>();
    call.on('error', () => undefined);
    call.on('end', () => call.end());
    call.on('data', (request: BatchAppendReq) => {
      // A node that has lost its office ends the whole call, with all that is in flight on it.
      if (this.refuse(call)) return;
      const correlationId = request.getCorrelationId()!.getString();
      const options = request.getOptions();
      if (options) {
        const stream = textOf(options.getStreamIdentifier()!.getStreamName_asU8());
        if (isLate(options, Date.now())) {
          call.write(batchReply({ correlationId, stream }).setError(timedOut()));
          return;
        }
        pending.set(correlationId, { correlationId, stream, expected: expectationOf(options), events: [] });
      }
      const append = pending.get(correlationId);
      if (!append) return;
      append.events.push(...request.getProposedMessagesList().map(proposedEvent));
      if (!request.getIsFinal()) return;
      pending.delete(correlationId);
      this.carryOut(call, append);
    });
  };

  /** One append a call: how clients append that authenticate call by call. */
  readonly append = (call: ServerReadableStream<AppendReq, AppendResp>, reply: sendUnaryData<AppendResp>): void => {
    if (this.refuse(call)) return;
    let options: AppendReq.Options | undefined;
    const events: ProposedEvent[] = [];
    call.on('data', (request: AppendReq) => {
      options ??= request.getOptions();
      const proposed = request.getProposedMessage();
      if (proposed) events.push(proposedEvent(proposed));
    });
    call.on('end', () => {
      const stream = textOf(options!.getStreamIdentifier()!.getStreamName_asU8());
      const expected = expectationOf(options!);
      const outcome = this.log.append(stream, events, expected);
      if (outcome.kind === 'stored') this.subscriptions.appended();
      reply(null, appendReply(outcome, expected));
    });
  };

  private carryOut(call: ServerDuplexStream<BatchAppendReq, BatchAppendResp>, request: Pending): void {
    const { stream, events, expected } = request;
    const reply = batchReply(request);
    if (events.reduce((sum, event) => sum + sizeOnDisk(event), 0) > MAX_APPEND_BYTES) {
      call.write(reply.setError(tooLarge(MAX_APPEND_BYTES)));
      return;
    }
    const fault = this.faults.takeAppend();
    switch (fault) {
      case 'lost':
        return;
      case 'not-ready':
        call.write(reply.setError(wordsOnly('Server Is Not Ready')));
        return;
      case 'busy':
        call.write(reply.setError(wordsOnly('Server Is Busy')));
        return;
      case 'timeout':
        call.write(reply.setError(timedOut()));
        return;
      case 'wrong-version':
        call.write(withOutcome(reply, { kind: 'wrong', current: 41n }, expected));
        return;
      case 'stored-unanswered':
      case 'stored-then-cut':
      case 'late':
      case undefined:
    }
    const outcome = this.log.append(stream, events, expected);
    if (outcome.kind === 'stored') this.subscriptions.appended();
    if (fault === 'stored-then-cut') this.faults.cut();
    if (fault === 'stored-unanswered' || fault === 'stored-then-cut') return;
    const answer = withOutcome(reply, outcome, expected);
    const late = (): void => {
      call.write(answer);
      this.faults.answeredLate++;
    };
    if (fault === 'late') setTimeout(late, this.faults.lateness).unref();
    else call.write(answer);
  }

  private async answer(call: ServerWritableStream<ReadReq, ReadResp>, options: ReadReq.Options): Promise<void> {
    const name = options.hasStream() && textOf(options.getStream()!.getStreamIdentifier()!.getStreamName_asU8());
    const found = name === false ? this.readAll(options) : this.readStream(name, options);
    if (found === undefined) call.write(streamNotFound(name as string));
    else {
      const count = Number(options.getCount());
      let written = 0;
      for (const event of found) {
        if (written++ >= count || call.cancelled) break;
        if (!call.write(readEvent(this.log.sends(event), name === false)))
          await new Promise((resolve) => call.once('drain', resolve));
      }
    }
    call.end();
  }

  private readStream(name: string, options: ReadReq.Options): readonly StoredEvent[] | undefined {
    const events = this.log.stream(name);
    const stream = options.getStream()!;
    const backwards = options.getReadDirection() === BACKWARDS;
    const revision = stream.hasRevision() ? BigInt(stream.getRevision()) : undefined;
    if (!backwards) {
      if (stream.hasEnd()) return [];
      return events?.filter((event) => revision === undefined || event.revision >= revision);
    }
    if (stream.hasStart()) return events?.slice(0, 1);
    return events?.filter((event) => revision === undefined || event.revision <= revision).reverse();
  }

  /** Forwards from a position it is included; backwards it is not: the server takes it for the end of what to read. */
  private *readAll(options: ReadReq.Options): Generator<StoredEvent> {
    const { all } = this.log;
    const from = options.getAll()!;
    const matches = filterOf(options);
    const position = from.hasPosition() ? BigInt(from.getPosition()!.getCommitPosition()) : undefined;
    if (options.getReadDirection() === BACKWARDS) {
      let at = from.hasStart() ? 0 : position === undefined ? all.length : this.log.indexFrom(position);
      while (--at >= 0) if (matches(all[at]!)) yield all[at]!;
    } else {
      let at = from.hasEnd() ? all.length : position === undefined ? 0 : this.log.indexFrom(position);
      for (; at < all.length; at++) if (matches(all[at]!)) yield all[at]!;
    }
  }

  /** Sends away what requires the leader when this node is not; true if it did. */
  private refuse(call: { metadata: Metadata; emit(event: 'error', error: Error): unknown }): boolean {
    const { leader } = this.faults;
    if (leader === undefined || call.metadata.get('requires-leader')[0] !== 'true') return false;
    call.emit('error', notLeader(leader));
    return true;
  }
}

function notLeader(leader: Leader): Error {
  if (leader === 'unknown') {
    const details = 'No leader info available in response';
    return Object.assign(new Error(details), { code: status.UNKNOWN, details });
  }
  const metadata = new Metadata();
  metadata.set('exception', 'not-leader');
  metadata.set('leader-endpoint-host', leader.host);
  metadata.set('leader-endpoint-port', String(leader.port));
  const details = 'Leader info available';
  return Object.assign(new Error(details), { code: status.NOT_FOUND, details, metadata });
}
