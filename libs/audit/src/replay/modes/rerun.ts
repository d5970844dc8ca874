import { matcherOf } from '#libs/event-index/src/event-matcher.js';
import type { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { rangeOf } from '#libs/event-index/src/scan/log-range.js';
import { scan } from '#libs/event-index/src/scan/scan-log.js';
import type { Consequence, World } from '#libs/event-index/src/worlds.js';
import { appendOnce, asRecorded } from '#libs/event-store/src/append-once.js';
import type { EventStore, EventToAppend, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { causedBy, eventIdOf, personalOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { uuid5 } from '#libs/kernel/src/ids.js';

import type { Selection } from '../replay.js';

/** On whose behalf events are acted on again. */
export interface RerunContext {
  readonly replayId: string;
  /** Who asked for it. */
  readonly actor: string;
  readonly now: Date;
}

/** What chosen rules and workflows do about an event: what was refused then is refused again. */
export const actsOn = (world: World, event: RecordedEvent): readonly Consequence[] =>
  world
    .decide(event)
    .filter(({ requests }) => requests.length > 0 && requests.every(({ refused }) => refused === undefined));

/** Most events of one rerun. */
const MAX_ACTED = 100_000;

/**
 * How many of the events of a request they act on.
 * @throws Rejected `replay.too_many`
 */
export async function countActs(
  store: EventStore,
  events: EventReader,
  world: World,
  { query, range }: Selection,
  upTo: bigint,
): Promise<number> {
  const isSelected = matcherOf(query);
  let count = 0;
  const look = (event: RecordedEvent): void => {
    if (!isSelected(event) || events.markOf(event.id) || actsOn(world, event).length === 0) return;
    if (++count > MAX_ACTED)
      throw new Rejected(
        'invalid',
        'replay.too_many',
        `A rerun acts on at most ${MAX_ACTED} events. Narrow "from", "to" or "filter".`,
      );
  };
  await scan(store, await rangeOf(events, range, upTo), look, new AbortController().signal);
  return count;
}

/**
 * Lets them act on an event again: one append to a stream named after replay and event, so that it counts once whatever is
 * restarted. The requests begin a story of their own.
 */
export async function actAgain(
  store: EventStore,
  event: RecordedEvent,
  acts: readonly Consequence[],
  context: RerunContext,
): Promise<void> {
  crashPoint('audit.before-rerun');
  await appendOnce(store, streams.rerun(context.replayId, event.id), rerunEvents(event, acts, context));
  crashPoint('audit.after-rerun');
}

/** Pure: the ids follow from replay, event, rule or workflow and action. */
export function rerunEvents(
  event: RecordedEvent,
  acts: readonly Consequence[],
  { replayId, actor, now }: RerunContext,
): readonly EventToAppend[] {
  const { orgId } = event.metadata;
  const replayOf = eventIdOf(event.id);
  const id = uuid5('rerun', replayId, event.id);
  const requestId = (by: string, index: number) => uuid5(id, by, String(index));
  const head = newEvent(
    {
      type: 'replay.event_rerun',
      data: {
        replayId,
        replayOf,
        eventType: event.type,
        decisions: acts.map(({ kind, by, name, version, requests }) => ({
          ...{ kind, by, name, version },
          actions: requests.map(({ type }, index) => ({ type, requestId: eventIdOf(requestId(by, index)) })),
        })),
      },
    },
    // A new story, with the keys of the persons whom the event is about.
    {
      id,
      orgId,
      actor,
      now,
      subject: `event/${replayOf}`,
      cause: { $correlationId: id, hop: 0, ...personalOf(event.metadata) },
    },
  );
  const [cause] = asRecorded('', [head], { revision: 0n, position: 0n, repeated: false }, now);
  const place = { stream: event.stream, revision: String(event.revision) };
  return [
    head,
    ...acts.flatMap(({ kind, by, requests }) =>
      requests.map(({ type, data }, index) =>
        newEvent(
          {
            type,
            data:
              kind === 'rule'
                ? data
                : { ...data, eventId: replayOf, event: place, requestedBy: { kind: 'manual', by: actor } },
          },
          {
            id: requestId(by, index),
            orgId,
            actor: kind === 'rule' ? `rule/${by}` : actor,
            now,
            subject: `${kind}/${by}`,
            cause: causedBy(cause!, kind === 'rule' ? by : undefined),
          },
        ),
      ),
    ),
  ];
}
