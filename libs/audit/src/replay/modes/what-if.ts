import { type Consequence, readOnly, type World, type Worlds } from '#libs/event-index/src/worlds.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { ReplayDifference } from '#libs/events/src/shapes/audit/replay-shape.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';

import type { KnownReplay } from '../replay.js';
import { compareDecisions } from './compare-decisions.js';
import type { DecidedThen } from './decided-then.adapter.js';

/** Worlds that are kept: each holds all rules and workflows of an organisation. */
const MAX_WORLDS = 4;
const AT_ONCE = 16;

/** What would be decided about an event, what was, and how the two differ. */
export interface Comparison {
  readonly now: readonly Consequence[];
  readonly then: readonly Consequence[];
  readonly differences: readonly ReplayDifference[];
}

/** Decides about events of the past once more. Has no way to act: the log is given to read only. */
export class WhatIf {
  private readonly worlds = new BoundedMap<string, Promise<World>>(MAX_WORLDS);

  constructor(
    private readonly store: EventStore,
    private readonly sources: Worlds,
    private readonly then: DecidedThen,
  ) {}

  /** The world of a replay: the same in whatever process, since its place in the log is a part of the request. */
  worldOf({ requested }: KnownReplay): Promise<World> {
    const { replayId, request, worldAt, upTo } = requested.data;
    let world = this.worlds.get(replayId);
    if (!world) {
      const at = BigInt(worldAt ?? upTo);
      const { orgId } = requested.metadata;
      world = this.sources.worldOf({ orgId, at, log: readOnly(this.store), chosen: request.with ?? {} });
      this.worlds.set(replayId, world);
      world.catch(() => this.worlds.delete(replayId));
    }
    return world;
  }

  /** In the order of the events. */
  async compare(replay: KnownReplay, events: readonly RecordedEvent[]): Promise<readonly Comparison[]> {
    const world = await this.worldOf(replay);
    const found: Comparison[] = [];
    for (let start = 0; start < events.length; start += AT_ONCE)
      found.push(
        ...(await Promise.all(
          events.slice(start, start + AT_ONCE).map(async (event) => {
            const now = world.decide(event);
            const then = (await this.then.about(event)).filter(({ by }) => world.isAsked(by));
            return { now, then, differences: compareDecisions(now, then) };
          }),
        )),
      );
    return found;
  }
}
