import type { DataSource } from 'typeorm';

import type { DecisionSources } from '#libs/event-index/src/decision-sources.js';
import type { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import type { ReadOnlyLog } from '#libs/event-index/src/worlds.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { eventJson } from '../../event-json.js';
import type { WhatIf } from '../modes/what-if.js';
import type { KnownReplay } from '../replay.js';
import { effectsOf } from '#libs/event-index/src/effects.adapter.js';

/** What there is to say about events. */
type Said = ReadonlyMap<RecordedEvent, object>;

/** Most decisions of one event that are shown. */
const MAX_DECISIONS = 200;
const AT_ONCE = 16;

/** Results of replays, made from the log at the time of reading: what was erased or removed since is not shown. */
export class ShownResults {
  constructor(
    private readonly database: DataSource,
    private readonly events: EventReader,
    private readonly decisions: DecisionSources,
    private readonly whatIf: WhatIf,
    private readonly log: ReadOnlyLog,
  ) {}

  /** @returns the JSON text of the result at each place. */
  async at(replay: KnownReplay, positions: readonly bigint[]): Promise<readonly string[]> {
    const { orgId } = replay.requested.metadata;
    const events = await this.events.at(orgId, positions);
    const found = positions.flatMap((position) => events.get(position) ?? []);
    const said = await {
      inspect: () => this.inspected(orgId, found),
      what_if: () => this.compared(replay, found),
      rerun: () => this.acted(replay, found),
    }[replay.requested.data.request.mode]();
    return positions.map((position) => {
      const event = events.get(position);
      const place = `{"position":"${position}"`;
      if (!event) return `${place}}`;
      const mark = this.events.markOf(event.id);
      const rest = stringifyJson({ ...said.get(event) }).slice(1);
      return `${place},"event":${eventJson(event, mark)}${rest === '}' ? rest : `,${rest}`}`;
    });
  }

  private async acted({ requested }: KnownReplay, found: readonly RecordedEvent[]): Promise<Said> {
    const { orgId } = requested.metadata;
    const { replayId } = requested.data;
    const said = new Map<RecordedEvent, object>();
    const reruns = await Promise.all(
      found.map(async (event) => (await this.log.readStream(streams.rerun(replayId, event.id), { limit: 1 }))[0]),
    );
    const known = reruns.flatMap((rerun) => (rerun?.is('replay.event_rerun') ? [rerun] : []));
    const effects = await effectsOf(this.database, orgId, known);
    for (const [index, event] of found.entries()) {
      const rerun = reruns[index];
      if (!rerun?.is('replay.event_rerun')) continue;
      const { decisions } = rerun.data;
      said.set(event, { rerun: { id: eventIdOf(rerun.id), decisions }, effects: effects.get(rerun.id) });
    }
    return said;
  }

  private async compared(replay: KnownReplay, found: readonly RecordedEvent[]): Promise<Said> {
    const comparisons = await this.whatIf.compare(replay, found);
    return new Map(found.map((event, index) => [event, comparisons[index]!]));
  }

  private async inspected(orgId: string, found: readonly RecordedEvent[]): Promise<Said> {
    const effects = await effectsOf(this.database, orgId, found);
    const decisions = new Map<RecordedEvent, readonly object[]>();
    for (let start = 0; start < found.length; start += AT_ONCE)
      await Promise.all(
        found.slice(start, start + AT_ONCE).map(async (event) => {
          const query = { orgId, eventId: eventIdOf(event.id), after: '' };
          const decided = await this.decisions.decisionsOn(query, MAX_DECISIONS);
          decisions.set(
            event,
            decided.map(({ shown }) => shown),
          );
        }),
      );
    return new Map(found.map((event) => [event, { decisions: decisions.get(event), effects: effects.get(event.id) }]));
  }
}
