import { type Author, type Decide, slice, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { QuarantineMark } from '#libs/event-store/src/runner/quarantine.table.js';
import { eventIdOf, eventUuidOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';

/** Whether an event is in quarantine: `free` or `marked`. Each can follow the other. */
export type EventQuarantine = { readonly kind: 'free' } | { readonly kind: 'marked'; readonly mark: QuarantineMark };

export const eventQuarantine = slice<EventQuarantine>()({
  name: 'event',
  stream: (id) => streams.quarantine(eventUuidOf(id)!),
  initial: { kind: 'free' },
  evolve: {
    'event.quarantined': (_, { reason }, { metadata: { orgId, actor: by, timestamp: at } }) => ({
      kind: 'marked',
      mark: { orgId, reason, by, at },
    }),
    'event.released': () => ({ kind: 'free' }),
  },
});

type Decision<C> = Decide<EventQuarantine, 'event.quarantined' | 'event.released', C>;

/** The same reason again changes nothing; another one replaces it. */
export const quarantineEvent: Decision<QuarantineEvent> = (state, { id, reason }) =>
  state.kind === 'marked' && state.mark.reason === reason
    ? []
    : [{ type: 'event.quarantined', data: { eventId: id, reason } }];

export const releaseEvent: Decision<ReleaseEvent> = (state, { id }) =>
  state.kind === 'free' ? [] : [{ type: 'event.released', data: { eventId: id } }];

export class QuarantineEvent extends ThingCommand<EventQuarantine> {
  constructor(
    id: string,
    author: Author,
    readonly reason: string,
  ) {
    super(id, author);
  }
}

export class ReleaseEvent extends ThingCommand<EventQuarantine> {}

/** Most events of one organisation in quarantine: every process keeps them in memory. */
export const MOST_QUARANTINED = 10_000;

/**
 * What came from outside can be passed over. What Millrace records about its own things cannot: a run whose step was passed
 * over would do it again, and tables would contradict the log.
 * @throws Rejected `event.not_quarantinable`
 */
export function checkQuarantinable({ id, type, stream, metadata }: RecordedEvent): void {
  if (streams.isInbound(stream) || streams.isPublished(stream)) return;
  const { $causationId, $correlationId } = metadata;
  const remedy =
    $causationId === undefined
      ? 'Change the thing that it is about instead.'
      : `Put what it follows from in quarantine instead: the story begins with ${eventIdOf($correlationId)}.`;
  throw new Rejected(
    'conflict',
    'event.not_quarantinable',
    `${eventIdOf(id)} is ${type}, which Millrace recorded about what it did. Only events that were received or published can be put in quarantine. ${remedy}`,
  );
}

export const quarantineFull = (): Rejected =>
  new Rejected(
    'conflict',
    'quarantine.full',
    `${MOST_QUARANTINED} events of this organisation are in quarantine. Release some first: DELETE /api/v1/events/{id}/quarantine.`,
  );
