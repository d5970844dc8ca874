import { matcherOf } from '#libs/event-index/src/event-matcher.js';
import type { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { type CountedRange, rangeOf } from '#libs/event-index/src/scan/log-range.js';
import { scan } from '#libs/event-index/src/scan/scan-log.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { EventDraft } from '#libs/event-store/src/new-event.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { ACTION_REQUESTS } from '#libs/events/src/types/actions/action.events.js';
import { ENGINE } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';
import { Rejected, Transient } from '#libs/kernel/src/errors.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';

import { type Pace, paced, type Paced } from './pace.js';
import { actAgain, actsOn } from './modes/rerun.js';
import type { WhatIf } from './modes/what-if.js';
import type { Found, ReplayRows, Step } from './replay-rows.adapter.js';
import { changeReplay, type KnownReplay, readReplay, REPLAYS, type ReplayTask, selectionOf } from './replay.js';

/** Events of one read; as many results are saved at a time. */
const PAGE = 500;
/** Replays take turns, and a process that stops waits for none of them longer. */
const TURN_MS = 1_000;
/** At a speed: events that are nearer to each other are played together. */
const NEAR_MS = 100;
/** Of a rerun: events that are acted on a second. */
const DEFAULT_RATE = 10;
const ACTS_AT_ONCE = 16;
/** Replays whose range is remembered between turns. */
const MAX_REMEMBERED = 100;

export interface RunReplayParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly events: EventReader;
  readonly rows: ReplayRows;
  readonly whatIf: WhatIf;
  readonly progress: Progress;
}

/**
 * Reads the log for replays, a turn at a time. What was done is saved with its results page by page: whoever has the next
 * turn, in whatever process, goes on there.
 */
export class RunReplay implements Worker<ReplayTask> {
  readonly queue = REPLAYS;
  readonly concurrency = 2;
  readonly perGroup = 1;
  readonly writes = [
    'replay.started',
    'replay.event_rerun',
    'replay.finished',
    'replay.failed',
    ...Object.values(ACTION_REQUESTS),
    'action.requested',
  ] as const;
  private readonly ranges = new BoundedMap<string, CountedRange>(MAX_REMEMBERED);

  constructor(private readonly parts: RunReplayParts) {}

  async run({ key: id }: ClaimedWork<ReplayTask>, signal: AbortSignal): Promise<WorkDone> {
    const { store, rows } = this.parts;
    const replay = await readReplay(store, id);
    if (replay.kind === 'ended') return { position: replay.last.position };
    const { request, upTo } = replay.requested.data;
    if (request.mode === 'what_if') await this.decided(BigInt(upTo));
    if (replay.kind === 'waiting') await this.record(id, { type: 'replay.started', data: { replayId: id } });
    try {
      const again = await this.turn(id, replay, signal);
      if (again !== undefined) return { position: replay.last.position, againAfterMs: again };
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      const { code, message: detail } = error;
      return this.record(id, { type: 'replay.failed', data: { replayId: id, code, detail } });
    }
    const { looked, selected, results, differences } = (await rows.load([id])).get(id)!;
    crashPoint('audit.before-replay-end');
    return this.record(id, { type: 'replay.finished', data: { replayId: id, looked, selected, results, differences } });
  }

  /** @returns after how many milliseconds there is more to do; `undefined` at the end. */
  private async turn(id: string, replay: KnownReplay, signal: AbortSignal): Promise<number | undefined> {
    const { requested } = replay;
    const { store, rows, events } = this.parts;
    const { request, upTo } = requested.data;
    const { query, range: asked } = selectionOf(request, requested.metadata.orgId, BigInt(upTo));
    let range = this.ranges.get(id);
    if (!range) this.ranges.set(id, (range = await rangeOf(events, asked, BigInt(upTo))));
    let saved = (await rows.load([id])).get(id) ?? (await rows.begin(id, range));
    const isSelected = matcherOf(query);
    const until = performance.now() + TURN_MS;
    let looked = 0;
    /** Each with the number of events that were looked at until then. */
    let selected: { readonly event: RecordedEvent; readonly looked: number }[] = [];
    let wait: number | undefined;

    const save = async (step: Pick<Step, 'position' | 'looked' | 'pace'>, of: readonly RecordedEvent[]) => {
      const found = await this.resultsOf(replay, of);
      const differences = found.filter(({ differs }) => differs).length;
      crashPoint('audit.before-replay-save');
      // Whoever has lost its claim may still be at work here.
      if (!(await rows.save(id, saved, { ...step, selected: of.length, results: found.length, differences, found })))
        throw new Transient('replay.taken_over', 'Another process goes on with this replay.');
      crashPoint('audit.after-replay-save');
      saved = { ...saved, position: step.position, ...(step.pace && { pace: step.pace }) };
    };
    const paged = async (position: bigint): Promise<boolean> => {
      const chosen = selected.map(({ event }) => event);
      const due = await this.dueOf(replay, chosen, saved.pace);
      const pace = due.pace && { pace: due.pace };
      if (due.wait !== undefined) {
        wait = Math.max(due.wait, NEAR_MS);
        const last = selected[due.ready - 1];
        if (last)
          await save({ position: last.event.position, looked: last.looked, ...pace }, chosen.slice(0, due.ready));
        return false;
      }
      await save({ position, looked, ...pace }, chosen);
      [looked, selected] = [0, []];
      return performance.now() < until;
    };
    const look = (event: RecordedEvent): void => {
      looked++;
      // Nobody has decided about an event in quarantine.
      if (!isSelected(event) || (request.mode !== 'inspect' && events.markOf(event.id))) return;
      selected.push({ event, looked });
    };
    const isOver = await scan(store, range, look, signal, { after: saved.position, page: PAGE, paged });
    return wait ?? (isOver ? undefined : 0);
  }

  /** How many of the events, from the first, are to be handled now. */
  private async dueOf(replay: KnownReplay, events: readonly RecordedEvent[], begun: Pace | undefined): Promise<Paced> {
    const { mode, speed, by, rate = DEFAULT_RATE } = replay.requested.data.request;
    if (speed !== undefined) return paced(events, { speed, by }, begun, this.parts.clock.now().getTime());
    if (mode !== 'rerun') return { ready: events.length };
    const world = await this.parts.whatIf.worldOf(replay);
    let acted = 0;
    const last = events.findIndex((event) => actsOn(world, event).length > 0 && ++acted === rate);
    return {
      ready: last < 0 ? events.length : last + 1,
      ...(acted > 0 && { wait: Math.ceil((acted / rate) * 1_000) }),
    };
  }

  /** Handles events. @returns which of them have a result */
  private async resultsOf(replay: KnownReplay, events: readonly RecordedEvent[]): Promise<readonly Found[]> {
    const { mode } = replay.requested.data.request;
    if (mode === 'inspect') return events;
    if (mode === 'rerun') return this.act(replay, events);
    const comparisons = await this.parts.whatIf.compare(replay, events);
    return events.flatMap(({ position }, index) => {
      const { now, then, differences } = comparisons[index]!;
      return now.length + then.length === 0 ? [] : [{ position, differs: differences.length > 0 }];
    });
  }

  private async act(replay: KnownReplay, events: readonly RecordedEvent[]): Promise<readonly RecordedEvent[]> {
    const { store, clock, whatIf } = this.parts;
    const { data, metadata } = replay.requested;
    const context = { replayId: data.replayId, actor: metadata.actor, now: clock.now() };
    const world = await whatIf.worldOf(replay);
    const acting = events.filter((event) => actsOn(world, event).length > 0);
    await inParallel(acting, ACTS_AT_ONCE, (event) => actAgain(store, event, actsOn(world, event), context));
    return acting;
  }

  /** Waits until everything up to here is decided, and the decisions can be read. */
  private async decided(upTo: bigint): Promise<void> {
    const { progress, store } = this.parts;
    const wait = (names: readonly string[], position: bigint) =>
      Promise.all(names.map((name) => progress.whenProcessed(name, position)));
    await wait([followers.decideRules, followers.startRuns], upTo);
    await wait([followers.decisionViews, followers.triggerDecisions, followers.runViews], await store.head());
  }

  /** @returns where the replay is then: it may have been cancelled. */
  private async record(id: string, draft: EventDraft): Promise<WorkDone> {
    const by = { actor: ENGINE, now: this.parts.clock.now() };
    const position = await changeReplay(this.parts.store, id, by, ({ kind, last }) =>
      kind === 'ended' || last.type === draft.type ? undefined : draft,
    );
    return { position };
  }
}
