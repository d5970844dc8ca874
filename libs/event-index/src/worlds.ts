import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { ReplayWorld } from '#libs/events/src/shapes/audit/replay-shape.js';
import type { JsonObject } from '#libs/kernel/src/json.js';

/** The log for those who may not write: there is no way from here to an effect. */
export type ReadOnlyLog = Pick<EventStore, 'readAll' | 'readStream'>;

export const readOnly = (store: EventStore): ReadOnlyLog => ({
  readAll: (options) => store.readAll(options),
  readStream: (stream, options) => store.readStream(stream, options),
});

/** What a rule or a workflow makes of an event, where it does not just pass it over. */
export interface Consequence {
  readonly kind: 'rule' | 'workflow';
  /** Id of the rule or workflow. */
  readonly by: string;
  readonly name: string;
  readonly version: string;
  readonly outcome: 'matched' | 'throttled' | 'errored' | 'started' | 'skipped';
  /** Why it does not act: the pointer of the control that holds it back, a reason, or an error in words. */
  readonly reason?: string;
  readonly requests: readonly Requested[];
}

/** What is asked for: an event of another stage. */
export interface Requested {
  readonly type: string;
  readonly data: JsonObject;
  /** Why it is not asked for after all. */
  readonly refused?: string;
}

/** Rules and triggers that decide about events, and can do nothing else. Pure. */
export interface World {
  decide(event: RecordedEvent): readonly Consequence[];
  /** Whether this rule or workflow is among those that decide. */
  isAsked(by: string): boolean;
}

/** Which rules and workflows decide. */
export interface WorldRequest {
  readonly orgId: string;
  /** As they were at this position, unless `chosen` says otherwise. */
  readonly at: bigint;
  readonly log: ReadOnlyLog;
  readonly chosen: ReplayWorld;
}

/** Each stage that decides adds itself. */
export interface WorldSource {
  /** @throws Rejected with pointers into the request, for what does not exist or is invalid */
  worldOf(request: WorldRequest): Promise<World>;
}

export class Worlds implements WorldSource {
  private readonly sources: WorldSource[] = [];

  add(source: WorldSource): void {
    this.sources.push(source);
  }

  async worldOf(request: WorldRequest): Promise<World> {
    const worlds = await Promise.all(this.sources.map((source) => source.worldOf(request)));
    return {
      decide: (event) => worlds.flatMap((world) => world.decide(event)),
      isAsked: (by) => worlds.some((world) => world.isAsked(by)),
    };
  }
}
