import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { causedBy, ENGINE, eventIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { type Uuid, uuid5 } from '#libs/kernel/src/ids.js';

/** The reason of a refusal, and its words. */
export const CORRELATION_EXHAUSTED = 'correlation-exhausted';
export const exhaustedInWords = (limit: number): string =>
  `The first event of the story has led to ${limit} events, the most that MILLRACE_CORRELATION_BUDGET allows.`;

interface Story {
  /** Events on which somebody might have acted, as they passed. */
  seen: number;
  /** How many of them had passed when the index was last asked. */
  askedAt: number;
  /** What it said: all events of the story, those of other subscribers and of earlier processes too. */
  indexed: number;
  told: boolean;
}

/** Stories that are counted at a time: those in which something happened last. */
const MAX_STORIES = 10_000;
/** The index is asked about a story after so many of its events: most stories never have as many. */
const ASK_AFTER = 100;

export interface BudgetParts {
  readonly store: EventStore;
  readonly clock: Clock;
  /** Most events of a story. */
  readonly limit: number;
  /** How many events of a story the index has; stops counting at `most`. */
  countStory(correlation: Uuid, most: number): Promise<number>;
}

/**
 * Counts the events of each story, so that one event never leads to more than a fixed number of others: the limit of causes
 * bounds how deep a story grows, and not how wide.
 *
 * A subscriber counts what passes it, in memory. The index is asked once in {@link ASK_AFTER} events of a story: it also has
 * what is yet to pass, and what passed before a restart. So a story overshoots by what so many events lead to at most.
 */
export class CorrelationBudget {
  private readonly stories = new BoundedMap<Uuid, Story>(MAX_STORIES);
  private readonly untold = new Map<Uuid, RecordedEvent>();
  private through = -1n;

  constructor(private readonly parts: BudgetParts) {}

  get limit(): number {
    return this.parts.limit;
  }

  /**
   * Call it with every batch, before {@link isSpent}. A batch that is handled again counts once.
   * @param mayAct whether anybody might act on an event of a type: the others are not even parsed.
   */
  async note(events: readonly RecordedEvent[], mayAct: (type: string) => boolean): Promise<void> {
    const unsure = new Map<Uuid, Story>();
    for (const event of events) {
      if (event.position <= this.through || !mayAct(event.type)) continue;
      const { $correlationId: correlation } = event.metadata;
      // The first event of a story is not worth an entry: most have no consequence.
      if (event.id === correlation) continue;
      const story = this.stories.get(correlation) ?? { seen: 1, askedAt: 0, indexed: 0, told: false };
      story.seen += 1;
      this.stories.delete(correlation);
      this.stories.set(correlation, story);
      if (story.seen - story.askedAt >= Math.min(ASK_AFTER, this.limit / 10)) unsure.set(correlation, story);
    }
    for (const [correlation, story] of unsure) {
      if (story.indexed < this.limit) story.indexed = await this.parts.countStory(correlation, this.limit);
      story.askedAt = story.seen;
    }
    const last = events.at(-1)?.position ?? this.through;
    if (last > this.through) this.through = last;
  }

  /** Whether nobody may act on this event any more. Who asks calls {@link tell} before recording a refusal. */
  isSpent(event: RecordedEvent): boolean {
    const { $correlationId: correlation } = event.metadata;
    const story = this.stories.get(correlation);
    if (story === undefined || Math.max(story.seen, story.indexed) < this.limit) return false;
    if (!story.told) this.untold.set(correlation, event);
    return true;
  }

  /**
   * Records once for each story that its budget is used up. It begins a story of its own, so that rules and webhooks may
   * act on it; those that led to it do not, and its depth goes on from the event.
   */
  async tell(): Promise<void> {
    for (const [correlation, event] of this.untold) {
      const id = uuid5('correlation.exhausted', correlation);
      const data = { correlationId: eventIdOf(correlation), limit: this.limit, eventId: eventIdOf(event.id) };
      const { orgId, subject } = event.metadata;
      const told = newEvent(
        { type: 'correlation.exhausted', data },
        {
          id,
          orgId,
          subject,
          actor: ENGINE,
          now: this.parts.clock.now(),
          cause: { ...causedBy(event), $correlationId: id },
        },
      );
      crashPoint('budget.before-tell');
      await appendOnce(this.parts.store, streams.exhausted(correlation), [told]);
      const story = this.stories.get(correlation);
      if (story) story.told = true;
      this.untold.delete(correlation);
    }
  }
}
