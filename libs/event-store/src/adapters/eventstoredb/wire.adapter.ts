import { randomUUID } from 'node:crypto';

import sharedPb from '@eventstore/db-client/generated/shared_pb.js';
import streamsPb from '@eventstore/db-client/generated/streams_pb.js';
import type { BatchAppendReq, BatchAppendResp, ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import emptyPb from 'google-protobuf/google/protobuf/empty_pb.js';

import { type EventFilter, type EventToAppend, type ExpectedRevision, RecordedEvent } from '../../event-store.js';
import type { StreamNames } from '../../names/stream-names.js';
import { CODES } from './errors.adapter.js';

/**
 * Between the port and EventStoreDB's messages. A position of the port is the commit position: of every event that is
 * written through gRPC it equals the place of its own record. As prepare position the server shows that of the first
 * event of the append, but compares with the record's own: so on the way out the two are the same number again.
 */

const encode = (text: string): Uint8Array => Buffer.from(text, 'utf8');

const identifier = (stored: string) => new sharedPb.StreamIdentifier().setStreamName(encode(stored));

/** Types of the server's own events begin with `$`; its streams are recognised by their name, see {@link isHidden}. */
const NOT_SYSTEM = '^[^\\$]';

export type Direction = 'forwards' | 'backwards';

function options(count: number, direction: Direction): ReadReq.Options {
  const made = new streamsPb.ReadReq.Options();
  made.setResolveLinks(false);
  made.setUuidOption(new streamsPb.ReadReq.Options.UUIDOption().setString(new sharedPb.Empty()));
  made.setReadDirection(direction === 'forwards' ? 0 : 1);
  made.setCount(String(count));
  return made;
}

const request = (made: ReadReq.Options): ReadReq => new streamsPb.ReadReq().setOptions(made);

/** Without `from`: the start forwards, the end backwards. Inclusive both ways. */
export function readStreamRequest(
  stored: string,
  { from, direction, count }: { from?: bigint | undefined; direction: Direction; count: number },
): ReadReq {
  const where = new streamsPb.ReadReq.Options.StreamOptions().setStreamIdentifier(identifier(stored));
  if (from !== undefined) where.setRevision(String(from));
  else if (direction === 'forwards') where.setStart(new sharedPb.Empty());
  else where.setEnd(new sharedPb.Empty());
  return request(options(count, direction).setStream(where).setNoFilter(new sharedPb.Empty()));
}

/** What the server looks for. It filters by one thing: by types, or by how the stored names of streams begin. */
export type ServerFilter = 'everything' | 'no-system-types' | { types: readonly string[] } | { streams: string[] };

/** Forwards the event at `at` is included, backwards it is not: so the server has it. */
export function readAllRequest(
  { at, direction, count }: { at?: bigint | undefined; direction: Direction; count: number },
  filter: ServerFilter,
): ReadReq {
  const made = options(count, direction).setAll(allFrom(at ?? (direction === 'forwards' ? 'start' : 'end')));
  return request(filtered(made, filter));
}

/** From `after` (exclusive) on, and live. */
export function subscribeRequest(after: bigint | 'start', filter: ServerFilter): ReadReq {
  const made = filtered(options(0, 'forwards').setAll(allFrom(after)), filter);
  made.clearCount();
  return request(made.setSubscription(new streamsPb.ReadReq.Options.SubscriptionOptions()));
}

function allFrom(at: bigint | 'start' | 'end'): ReadReq.Options.AllOptions {
  const where = new streamsPb.ReadReq.Options.AllOptions();
  if (at === 'start') return where.setStart(new sharedPb.Empty());
  if (at === 'end') return where.setEnd(new sharedPb.Empty());
  const position = new streamsPb.ReadReq.Options.Position();
  return where.setPosition(position.setCommitPosition(String(at)).setPreparePosition(String(at)));
}

/** Events the server looks at before it yields to other readers, and before it tells a subscription how far it is. */
const SEARCH_WINDOW = 1000;

function filtered(made: ReadReq.Options, filter: ServerFilter): ReadReq.Options {
  if (filter === 'everything') return made.setNoFilter(new sharedPb.Empty());
  const search = new streamsPb.ReadReq.Options.FilterOptions();
  search.setMax(SEARCH_WINDOW);
  search.setCheckpointintervalmultiplier(1);
  const expression = new streamsPb.ReadReq.Options.FilterOptions.Expression();
  if (filter === 'no-system-types') search.setEventType(expression.setRegex(NOT_SYSTEM));
  else if ('types' in filter) search.setEventType(expression.setPrefixList([...filter.types]));
  else search.setStreamIdentifier(expression.setPrefixList(filter.streams));
  return made.setFilter(search);
}

/** Everything of ours, or everything that is not the server's where the whole server is ours. */
export const allOf = ({ prefix }: StreamNames): ServerFilter =>
  prefix === '' ? 'no-system-types' : { streams: [prefix] };

/** The same, and the boundaries of our streams. */
export const allAndMetadataOf = ({ prefix }: StreamNames): ServerFilter =>
  prefix === '' ? 'everything' : { streams: [prefix, `$$${prefix}`] };

/**
 * What finds the events of `filter`, and as little else as possible; the caller matches exactly. Types are the narrower
 * search, unless others use them too.
 */
export function searchFor(names: StreamNames, filter: EventFilter | undefined, typesAreShared: boolean): ServerFilter {
  if (filter?.types && !typesAreShared) return { types: filter.types };
  if (filter?.streamPrefixes) return { streams: filter.streamPrefixes.map((prefix) => names.stored(prefix)) };
  return allOf(names);
}

/** The stream of every event that is not ours: what is in it is nobody's business here. */
const FOREIGN = '$';
export const isForeign = (event: RecordedEvent): boolean => event.stream === FOREIGN;

/** The server's own, and what belongs to others: never shown. Not all of the server's have a `$` in their type. */
export const isHidden = (event: RecordedEvent): boolean => event.stream.startsWith('$') || event.type.startsWith('$');

const TICKS_PER_MILLISECOND = 10_000n;

/** Bytes are taken over as they are: text and objects are made of them when somebody looks. */
export function recordedEvent(names: StreamNames, read: ReadResp.ReadEvent): RecordedEvent {
  const event = read.getEvent()!;
  const metadata = event.getMetadataMap();
  return new RecordedEvent(
    names.own(bufferOver(event.getStreamIdentifier()!.getStreamName_asU8()).toString('utf8')) ?? FOREIGN,
    BigInt(event.getStreamRevision()),
    BigInt(event.getCommitPosition()),
    event.getId()!.getString(),
    metadata.get('type') ?? '',
    new Date(Number(BigInt(metadata.get('created') ?? '0') / TICKS_PER_MILLISECOND)),
    bufferOver(event.getData_asU8()),
    bufferOver(event.getCustomMetadata_asU8()),
  );
}

const bufferOver = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export interface AppendRequest {
  readonly correlationId: string;
  readonly message: BatchAppendReq;
}

/**
 * One append as one message. No deadline goes with it: the server would hold it against its own clock, and its own
 * write time-out applies anyway.
 */
export function appendRequest(
  stored: string,
  events: readonly EventToAppend[],
  expected: ExpectedRevision,
): AppendRequest {
  const made = new streamsPb.BatchAppendReq.Options().setStreamIdentifier(identifier(stored));
  if (typeof expected === 'bigint') made.setStreamPosition(String(expected));
  else if (expected === 'no-stream') made.setNoStream(new emptyPb.Empty());
  else if (expected === 'stream-exists') made.setStreamExists(new emptyPb.Empty());
  else made.setAny(new emptyPb.Empty());
  const correlationId = randomUUID();
  const message = new streamsPb.BatchAppendReq()
    .setCorrelationId(new sharedPb.UUID().setString(correlationId))
    .setOptions(made)
    .setProposedMessagesList(events.map(proposedMessage))
    .setIsFinal(true);
  return { correlationId, message };
}

function proposedMessage({ id, type, data, metadata }: EventToAppend): BatchAppendReq.ProposedMessage {
  const message = new streamsPb.BatchAppendReq.ProposedMessage()
    .setId(new sharedPb.UUID().setString(id))
    .setData(encode(data))
    .setCustomMetadata(encode(metadata));
  // A mark for the server's own tools; it keeps the bytes as they are, whatever is in them.
  message.getMetadataMap().set('type', type).set('content-type', 'application/json');
  return message;
}

/** What became of an append, as far as the server says. */
export type AppendReply =
  | { readonly kind: 'success'; readonly revision: bigint; readonly position: bigint | undefined }
  | { readonly kind: 'wrong-revision'; readonly actual: bigint | undefined }
  | { readonly kind: 'too-large'; readonly limit: number }
  /** `code` is a gRPC status for {@link classify}; the text is all there is for some. */
  | { readonly kind: 'failed'; readonly error: Error };

/** -1 as an unsigned number: how some versions say "none". */
const NONE = (1n << 63n) - 1n;

export function appendReply(reply: BatchAppendResp): AppendReply {
  if (!reply.hasError()) {
    const success = reply.getSuccess()!;
    const position = success.hasPosition() ? BigInt(success.getPosition()!.getCommitPosition()) : undefined;
    return {
      kind: 'success',
      revision: BigInt(success.getCurrentRevision()),
      position: position !== undefined && position > NONE ? undefined : position,
    };
  }
  const error = reply.getError()!;
  const details = error.getDetails();
  const type = details?.getTypeName() ?? '';
  switch (type) {
    case 'event_store.client.WrongExpectedVersion': {
      const wrong = details!.unpack((bytes) => sharedPb.WrongExpectedVersion.deserializeBinary(bytes), type)!;
      const actual = wrong.hasCurrentStreamRevision() ? BigInt(wrong.getCurrentStreamRevision()) : undefined;
      return { kind: 'wrong-revision', actual: actual !== undefined && actual > NONE ? undefined : actual };
    }
    case 'event_store.client.MaximumAppendSizeExceeded': {
      const limit = details!.unpack((bytes) => sharedPb.MaximumAppendSizeExceeded.deserializeBinary(bytes), type)!;
      return { kind: 'too-large', limit: limit.getMaxappendsize() };
    }
    case 'event_store.client.Timeout':
      return {
        kind: 'failed',
        error: Object.assign(new Error('the server timed out'), { code: CODES.DEADLINE_EXCEEDED }),
      };
    case 'event_store.client.AccessDenied':
      return { kind: 'failed', error: Object.assign(new Error('access denied'), { code: CODES.PERMISSION_DENIED }) };
    default:
      return { kind: 'failed', error: new Error(error.getMessage() || `append refused: ${type}`) };
  }
}
