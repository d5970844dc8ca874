import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

import type { DataSource } from 'typeorm';

import type { Caller } from '#libs/access/src/caller.js';
import { DecisionSources } from '#libs/event-index/src/decision-sources.js';
import { EventIndex } from '#libs/event-index/src/event-index.projection.js';
import { readOnly, Worlds } from '#libs/event-index/src/worlds.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { type EventContext, newEvent } from '#libs/event-store/src/new-event.js';
import { DEFAULT_ORG } from '#libs/events/src/envelope.js';
import type { ReplayAnswer, ReplayResultAnswer } from '#libs/events/src/shapes/audit/replay-shape.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { PostgresWorkQueue } from '#libs/persistence/src/claims/work-queue.adapter.js';
import type { WorkDone } from '#libs/persistence/src/claims/work.js';

import { Follower } from '../../persistence/testing/follower.js';
import { DecidedThen } from '../src/replay/modes/decided-then.adapter.js';
import { WhatIf } from '../src/replay/modes/what-if.js';
import { ReplayController } from '../src/replay/replay.controller.js';
import { ReplayProjection } from '../src/replay/replay.projection.js';
import { ReplayRows } from '../src/replay/replay-rows.adapter.js';
import { REPLAYS } from '../src/replay/replay.js';
import { RunReplay, type RunReplayParts } from '../src/replay/run-replay.worker.js';
import { ReplayResultsController } from '../src/replay/shown/replay-results.controller.js';
import { Replays } from '../src/replay/replay-list.adapter.js';
import { ShownResults } from '../src/replay/shown/shown-results.adapter.js';

export const auditor: Caller = { orgId: DEFAULT_ORG, actor: 'token/tok_1', tokenId: 'tok_1', roles: ['auditor'] };

/** A log that is replayed, turn by turn: nothing happens by itself. */
export class ReplayedLog {
  readonly clock = new FixedClock(new Date('2026-11-20T12:00:00Z'));
  readonly decisions = new DecisionSources();
  readonly worlds = new Worlds();
  readonly whatIf: WhatIf;
  readonly rows: ReplayRows;
  readonly events: EventReader;
  readonly controller: ReplayController;
  readonly results: ReplayResultsController;
  private readonly follower: Follower;
  private readonly projection: ReplayProjection;

  constructor(
    readonly store: EventStore,
    readonly database: DataSource,
  ) {
    const progress = { whenProcessed: () => this.follow() };
    this.follower = new Follower(store, database);
    this.projection = new ReplayProjection(new PostgresWorkQueue(database));
    this.rows = new ReplayRows(database);
    this.events = new EventReader(database, store, progress);
    const replays = new Replays(database, this.rows);
    this.whatIf = new WhatIf(store, this.worlds, new DecidedThen(readOnly(store), this.decisions));
    const shown = new ShownResults(database, this.events, this.decisions, this.whatIf, readOnly(store));
    const { signal } = new AbortController();
    this.controller = new ReplayController(store, this.clock, progress, replays, this.worlds, this.events);
    this.results = new ReplayResultsController(store, replays, this.rows, shown, this.events, signal);
  }

  async follow(): Promise<void> {
    await this.follower.run(new EventIndex());
    await this.follower.run(this.projection);
  }

  /** Each in a stream of its own, received a second after the one before. */
  async append(type: string, data: object, context: Partial<EventContext> = {}): Promise<RecordedEvent> {
    const id = uuid7();
    this.clock.advance(1_000);
    const event = newEvent(
      { type, data },
      { id, orgId: DEFAULT_ORG, actor: 'test', now: this.clock.now(), ...context },
    );
    await this.store.append(`things-${id}`, [event], 'no-stream');
    return (await this.store.readStream(`things-${id}`))[0]!;
  }

  /** As another process has it. */
  worker(parts: Partial<RunReplayParts> = {}): RunReplay {
    const { store, clock, events, rows, whatIf } = this;
    const progress = { whenProcessed: () => this.follow() };
    return new RunReplay({ store, clock, events, rows, whatIf, progress, ...parts });
  }

  async turn(id: string, worker = this.worker(), signal = new AbortController().signal): Promise<WorkDone> {
    const work = { queue: REPLAYS, key: id, dueAt: this.clock.now(), payload: {}, position: 0n, claims: 1 };
    const done = await worker.run(work, signal);
    await this.follow();
    return done;
  }

  /** Requests a replay and lets it run to its end. */
  async replay(body: object, caller = auditor): Promise<ReplayAnswer> {
    const { id } = await this.controller.create(caller, body);
    for (let done = await this.turn(id); done.againAfterMs !== undefined;) done = await this.turn(id);
    return this.controller.view(caller, id);
  }

  async resultsOf(id: string, caller = auditor): Promise<readonly ReplayResultAnswer[]> {
    const lines = await answerOf((reply) => this.results.list(caller, id, reply, 'application/x-ndjson'));
    return linesOf(lines) as ReplayResultAnswer[];
  }
}

/** What a route writes by hand. */
export async function answerOf(route: (reply: never) => Promise<void>): Promise<string> {
  let sent: string | Readable = '';
  const reply = {
    type: () => reply,
    header: () => reply,
    send: (body: string | Readable) => {
      sent = body;
      return reply;
    },
    raw: { once: () => undefined },
  };
  await route(reply as never);
  return typeof sent === 'string' ? sent : text(sent);
}

export const linesOf = (answer: string): readonly object[] =>
  answer
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as object);
