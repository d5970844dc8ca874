import { Inject, Injectable } from '@nestjs/common';

import { appendOnce } from '#libs/event-store/src/append-once.js';
import { EventStore, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { Subscriber } from '#libs/event-store/src/subscriber.js';
import { causedBy, eventIdOf, executionIdOf, MAX_HOPS } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';

const ACTOR = 'agent/';
const CONCURRENT_APPENDS = 64;

/** Asks an agent to do what came in at its webhook: once, since the execution's stream is named after the event. */
@Injectable()
export class RequestAgents implements Subscriber {
  readonly name = followers.requestAgents;
  readonly reads = ['webhook.received'] as const;
  readonly writes = ['agent.requested'] as const;

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  async handle(events: readonly RecordedEvent[]): Promise<void> {
    const ours = events.filter(({ metadata }) => metadata.actor.startsWith(ACTOR) && metadata.hop < MAX_HOPS);
    await inParallel(ours, CONCURRENT_APPENDS, (event) => this.request(event));
  }

  private async request(event: RecordedEvent): Promise<void> {
    const { orgId, actor } = event.metadata;
    const agentId = actor.slice(ACTOR.length);
    const eventId = eventIdOf(event.id);
    const executionId = executionIdOf(event.id);
    const data = {
      requestedBy: { kind: 'webhook' as const, agentId },
      eventId,
      event: { stream: event.stream, revision: String(event.revision) },
      agent: agentId,
      // The payload of the event: copied, it would be stored twice.
      input: null,
      executionId,
    };
    const id = uuid5(this.name, event.id);
    const context = { id, orgId, actor, now: this.clock.now(), cause: causedBy(event), subject: actor };
    crashPoint('agents.before-request');
    await appendOnce(this.store, streams.execution(executionId), [
      newEvent({ type: 'agent.requested', data }, context),
    ]);
    crashPoint('agents.after-request');
  }
}
