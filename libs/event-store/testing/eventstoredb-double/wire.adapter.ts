import codePb from '@eventstore/db-client/generated/code_pb.js';
import sharedPb from '@eventstore/db-client/generated/shared_pb.js';
import statusPb from '@eventstore/db-client/generated/status_pb.js';
import type { Status } from '@eventstore/db-client/generated/status_pb.js';
import streamsPb from '@eventstore/db-client/generated/streams_pb.js';
import type {
  AppendReq,
  AppendResp,
  BatchAppendReq,
  BatchAppendResp,
  ReadReq,
  ReadResp,
} from '@eventstore/db-client/generated/streams_pb.js';
import anyPb from 'google-protobuf/google/protobuf/any_pb.js';
import emptyPb from 'google-protobuf/google/protobuf/empty_pb.js';

import type { AppendOutcome, Expectation, ProposedEvent, StoredEvent } from './double-log.js';

/** Between the messages of EventStoreDB's protocol and the double's log. */

export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

const APPLICATION_JSON = 'application/json';

interface Proposed {
  getId(): { getString(): string } | undefined;
  getMetadataMap(): { get(key: string): string | undefined };
  getData_asU8(): Uint8Array;
  getCustomMetadata_asU8(): Uint8Array;
}

export const proposedEvent = (message: Proposed): ProposedEvent => ({
  id: message.getId()?.getString() ?? '',
  type: message.getMetadataMap().get('type') ?? '',
  json: message.getMetadataMap().get('content-type') === APPLICATION_JSON,
  data: message.getData_asU8(),
  metadata: message.getCustomMetadata_asU8(),
});

/** As the server counts an append against its limit. */
export const sizeOnDisk = ({ type, data, metadata }: ProposedEvent): number =>
  2 * type.length + data.length + metadata.length;

export function expectationOf(options: BatchAppendReq.Options | AppendReq.Options): Expectation {
  if (options.hasNoStream()) return 'no-stream';
  if (options.hasStreamExists()) return 'stream-exists';
  if (options.hasAny()) return 'any';
  return BigInt('getRevision' in options ? options.getRevision() : options.getStreamPosition());
}

/** The server takes a deadline by its own clock. */
export const isLate = (options: BatchAppendReq.Options, now: number): boolean => {
  const deadline = options.getDeadline();
  return deadline !== undefined && deadline.toDate().getTime() <= now;
};

export function readEvent(event: StoredEvent, fromAll: boolean): ReadResp {
  const recorded = new streamsPb.ReadResp.ReadEvent.RecordedEvent();
  recorded.setId(new sharedPb.UUID().setString(event.id));
  recorded.setStreamIdentifier(new sharedPb.StreamIdentifier().setStreamName(Buffer.from(event.stream)));
  recorded.setStreamRevision(String(event.revision));
  recorded.setCommitPosition(String(event.position));
  recorded.setPreparePosition(String(event.transaction));
  recorded.setData(event.data);
  recorded.setCustomMetadata(event.metadata);
  const metadata = recorded.getMetadataMap();
  metadata.set('type', event.type);
  metadata.set('created', String(event.created));
  metadata.set('content-type', event.json ? APPLICATION_JSON : 'application/octet-stream');
  const read = new streamsPb.ReadResp.ReadEvent().setEvent(recorded);
  if (fromAll) read.setCommitPosition(String(event.position));
  else read.setNoPosition(new sharedPb.Empty());
  return new streamsPb.ReadResp().setEvent(read);
}

export const streamNotFound = (stream: string): ReadResp =>
  new streamsPb.ReadResp().setStreamNotFound(
    new streamsPb.ReadResp.StreamNotFound().setStreamIdentifier(
      new sharedPb.StreamIdentifier().setStreamName(Buffer.from(stream)),
    ),
  );

export const confirmation = (id: string): ReadResp =>
  new streamsPb.ReadResp().setConfirmation(new streamsPb.ReadResp.SubscriptionConfirmation().setSubscriptionId(id));
export const caughtUp = (): ReadResp => new streamsPb.ReadResp().setCaughtUp(new streamsPb.ReadResp.CaughtUp());
export const fellBehind = (): ReadResp => new streamsPb.ReadResp().setFellBehind(new streamsPb.ReadResp.FellBehind());
export const checkpoint = (position: bigint): ReadResp =>
  new streamsPb.ReadResp().setCheckpoint(
    new streamsPb.ReadResp.Checkpoint().setCommitPosition(String(position)).setPreparePosition(String(position)),
  );

/** The server-side filter as a question about one event: a regular expression or prefixes, on the type or the stream. */
export function filterOf(options: ReadReq.Options): (event: StoredEvent) => boolean {
  const filter = options.getFilter();
  if (!filter) return () => true;
  const onType = filter.hasEventType();
  const expression = (onType ? filter.getEventType() : filter.getStreamIdentifier())!;
  const pattern = expression.getRegex();
  const prefixes = expression.getPrefixList();
  const regex = pattern === '' ? undefined : new RegExp(pattern);
  return ({ type, stream }) => {
    const text = onType ? type : stream;
    return regex ? regex.test(text) : prefixes.some((prefix) => text.startsWith(prefix));
  };
}

/** Considered events between two checkpoints of a filtered subscription. */
export function checkpointEvery(options: ReadReq.Options): number {
  const filter = options.getFilter();
  if (!filter) return Infinity;
  return (filter.hasMax() ? filter.getMax() : 32) * filter.getCheckpointintervalmultiplier();
}

export function batchReply(request: { correlationId: string; stream: string }): BatchAppendResp {
  return new streamsPb.BatchAppendResp()
    .setCorrelationId(new sharedPb.UUID().setString(request.correlationId))
    .setStreamIdentifier(new sharedPb.StreamIdentifier().setStreamName(Buffer.from(request.stream)));
}

export function withOutcome(reply: BatchAppendResp, outcome: AppendOutcome, expected: Expectation): BatchAppendResp {
  if (outcome.kind === 'wrong') {
    const details = new sharedPb.WrongExpectedVersion();
    if (outcome.current === undefined) details.setCurrentNoStream(new emptyPb.Empty());
    else details.setCurrentStreamRevision(String(outcome.current));
    if (typeof expected === 'bigint') details.setExpectedStreamPosition(String(expected));
    else if (expected === 'no-stream') details.setExpectedNoStream(new emptyPb.Empty());
    else if (expected === 'stream-exists') details.setExpectedStreamExists(new emptyPb.Empty());
    else details.setExpectedAny(new emptyPb.Empty());
    return reply.setError(failure('WrongExpectedVersion', details.serializeBinary(), 'WrongExpectedVersion'));
  }
  const success = new streamsPb.BatchAppendResp.Success().setCurrentRevision(String(outcome.revision));
  if (outcome.position === undefined) success.setNoPosition(new emptyPb.Empty());
  else
    success.setPosition(
      new sharedPb.AllStreamPosition()
        .setCommitPosition(String(outcome.position))
        .setPreparePosition(String(outcome.position)),
    );
  return reply.setSuccess(success);
}

export function appendReply(outcome: AppendOutcome, expected: Expectation): AppendResp {
  const { Position, Success, WrongExpectedVersion } = streamsPb.AppendResp;
  if (outcome.kind === 'wrong') {
    const wrong = new WrongExpectedVersion();
    if (outcome.current === undefined) wrong.setCurrentNoStream(new sharedPb.Empty());
    else wrong.setCurrentRevision(String(outcome.current));
    if (typeof expected === 'bigint') wrong.setExpectedRevision(String(expected));
    else if (expected === 'no-stream') wrong.setExpectedNoStream(new sharedPb.Empty());
    else if (expected === 'stream-exists') wrong.setExpectedStreamExists(new sharedPb.Empty());
    else wrong.setExpectedAny(new sharedPb.Empty());
    return new streamsPb.AppendResp().setWrongExpectedVersion(wrong);
  }
  const success = new Success().setCurrentRevision(String(outcome.revision));
  if (outcome.position === undefined) success.setNoPosition(new sharedPb.Empty());
  else {
    const position = String(outcome.position);
    success.setPosition(new Position().setCommitPosition(position).setPreparePosition(position));
  }
  return new streamsPb.AppendResp().setSuccess(success);
}

/** A `google.rpc.Status` whose details name one of the server's own messages. */
export function failure(type: string, details: Uint8Array, message: string): Status {
  const any = new anyPb.Any();
  any.pack(details, `event_store.client.${type}`);
  return new statusPb.Status().setCode(codePb.Code.UNKNOWN).setMessage(message).setDetails(any);
}

/** How "not ready" and "too busy" come back: nothing but a text. */
export function wordsOnly(message: string): Status {
  const any = new anyPb.Any();
  any.pack(new emptyPb.Empty().serializeBinary(), 'google.protobuf.Empty');
  return new statusPb.Status().setCode(codePb.Code.OK).setMessage(message).setDetails(any);
}

export const timedOut = (): Status => failure('Timeout', new sharedPb.Timeout().serializeBinary(), 'Timeout');
export const tooLarge = (limit: number): Status =>
  failure(
    'MaximumAppendSizeExceeded',
    new sharedPb.MaximumAppendSizeExceeded().setMaxappendsize(limit).serializeBinary(),
    'Maximum append size exceeded',
  );
