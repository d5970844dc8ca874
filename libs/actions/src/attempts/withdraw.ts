import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readAt, readWhole } from '#libs/event-store/src/reading.js';
import { causedBy, eventIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { uuid5 } from '#libs/kernel/src/ids.js';

type Requested = RecordedEvent<'message.requested' | 'issue.requested'>;

/**
 * Ends a request that its run no longer wants, unless an attempt has begun or it is over. The end takes the place in the
 * request's stream at which the next attempt would begin: one of the two is first.
 * @returns the request, if it will not be carried out.
 */
export async function withdraw(
  store: EventStore,
  withdrawal: RecordedEvent<'run.request_withdrawn'>,
  now: Date,
): Promise<Requested | undefined> {
  const request = await requestOf(store, withdrawal);
  if (!request) return undefined;
  const isMessage = request.is('message.requested');
  const stream = isMessage ? streams.message(request.id) : streams.tracked(request.id);
  const history = await store.readStream(stream);
  // An attempt is two events: its beginning and its outcome.
  const isUnderWay = history.length % 2 === 1;
  const last = history.at(-1);
  if (isUnderWay || (last && !RETRIED.has(last.type))) return undefined;
  const word = isMessage ? 'message' : 'tracker';
  const { requestedBy, eventId } = request.data;
  const data = {
    requestId: eventIdOf(request.id),
    request: { stream: request.stream, revision: String(request.revision) },
    requestedBy,
    eventId,
    attempt: history.length / 2 + 1,
    error: { code: `${word}.withdrawn`, message: 'The run withdrew the request before it was carried out.' },
    latencyMs: 0,
  };
  const { orgId, actor, subject } = request.metadata;
  const id = uuid5('actions.withdraw', request.id);
  const context = { id, orgId, actor, now, cause: causedBy(request), subject };
  const event = newEvent({ type: `${word}.failed` as const, data }, context);
  crashPoint('actions.before-withdraw');
  const { repeated, revision } = await appendOnce(store, stream, [event], last?.revision ?? 'no-stream');
  crashPoint('actions.after-withdraw');
  if (!repeated) return request;
  return (await readAt(store, stream, String(revision)))?.id === id ? request : undefined;
}

const RETRIED: ReadonlySet<string> = new Set(['message.attempt_failed', 'tracker.attempt_failed']);

/** The stream says who withdraws: a run can withdraw its own requests only. */
async function requestOf(
  store: EventStore,
  { stream, data: { requestId, request: type, revision } }: RecordedEvent<'run.request_withdrawn'>,
): Promise<Requested | undefined> {
  if (!streams.isRun(stream) || !['message.requested', 'issue.requested'].includes(type)) return undefined;
  const request =
    revision === undefined
      ? (await readWhole(store, stream)).find(({ id }) => id === requestId)
      : await readAt(store, stream, revision);
  if (request?.id !== requestId) return undefined;
  if (request.is('message.requested')) return request;
  const isOutside = request.is('issue.requested') && (request.data.tracker ?? 'builtin') !== 'builtin';
  return isOutside ? request : undefined;
}
