import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import { type Caller, newIdFor } from '#libs/access/src/caller.js';
import { Answers, AnswersPage, Takes } from '#libs/access/src/shapes.controller.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { readOnly, Worlds } from '#libs/event-index/src/worlds.js';
import { appendOnce } from '#libs/event-store/src/append-once.js';
import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { ReplayAnswer, ReplayRequest } from '#libs/events/src/shapes/audit/replay-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import type { Page } from '#libs/kernel/src/paging.js';

import { positionOf } from '../as-of/point.js';
import { countActs } from './modes/rerun.js';
import { changeReplay, checkReplay, selectionOf } from './replay.js';
import { Replays } from './replay-list.adapter.js';

/** Replays of the log, as jobs. */
@ApiTags('audit')
@Roles('auditor')
@Controller('api/v1/replays')
export class ReplayController {
  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(Replays) private readonly replays: Replays,
    @Inject(Worlds) private readonly worlds: Worlds,
    @Inject(EventReader) private readonly events: EventReader,
  ) {}

  @Post()
  @HttpCode(202)
  @ApiOperation({
    summary: 'Replay a part of the log',
    description:
      'Starts a job that goes on by itself. `GET /api/v1/replays/:id/progress` follows it. A rerun needs the role admin and `confirm`, the number of events that are acted on: without it, or with another number, the answer is 409 and names the right one.',
  })
  @Takes(ReplayRequest)
  @Answers(ReplayAnswer, 202)
  async create(@CurrentCaller() caller: Caller, @Body() body: unknown): Promise<ReplayAnswer> {
    const { confirm, ...request } = checkReplay(body);
    if (request.mode === 'rerun' && !caller.roles.includes('admin')) throw onlyAdmins();
    const { orgId, actor } = caller;
    const id = newIdFor(caller, 'rpl');
    if (caller.idempotencyKey !== undefined && (await this.isThere(id))) return this.replays.get(orgId, id);
    const upTo = await this.store.head();
    const worldAt = await this.worldAt(request);
    const { with: chosen = {} } = request;
    const isChosen = (chosen.rules ?? chosen.workflows) !== undefined;
    // What does not exist or compile is refused now, not by the job.
    const world =
      isChosen && (await this.worlds.worldOf({ orgId, at: worldAt ?? upTo, log: readOnly(this.store), chosen }));
    const more: { worldAt?: string; count?: number } = worldAt === undefined ? {} : { worldAt: String(worldAt) };
    if (request.mode === 'rerun' && world) {
      const selection = selectionOf(request, orgId, upTo);
      more.count = await countActs(this.store, this.events, world, selection, upTo);
      if (confirm !== more.count || more.count === 0) throw otherCount(more.count);
    }
    const event = newEvent(
      { type: 'replay.requested', data: { replayId: id, request, upTo: String(upTo), ...more } },
      { id: uuid5('replay', id, 'replay.requested'), orgId, actor, now: this.clock.now(), subject: `replay/${id}` },
    );
    const { position } = await appendOnce(this.store, streams.replay(id), [event]);
    await hasSeen(this.progress, followers.replays, position);
    return this.replays.get(orgId, id);
  }

  private isThere(id: string): Promise<boolean> {
    return this.store.readStream(streams.replay(id), { limit: 1 }).then(({ length }) => length > 0);
  }

  /** A time is that of the last event that was recorded by then. */
  private async worldAt({ with: { at } = {} }: ReplayRequest): Promise<bigint | undefined> {
    if (at === undefined) return undefined;
    const places = { head: () => this.store.head(), positionAt: (time: Date) => this.events.positionAt(time) };
    return positionOf(places, at, '/with/at', this.clock.now());
  }

  @Get()
  @ApiOperation({ summary: 'List replays', description: 'Newest first.' })
  @AnswersPage(ReplayAnswer)
  list(
    @CurrentCaller() { orgId }: Caller,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<ReplayAnswer>> {
    return this.replays.list(orgId, { limit, cursor });
  }

  @Get(':id')
  @ApiOperation({ summary: 'One replay, and how far it is' })
  @Answers(ReplayAnswer)
  view(@CurrentCaller() { orgId }: Caller, @Param('id') id: string): Promise<ReplayAnswer> {
    return this.replays.get(orgId, id);
  }

  @Post(':id/cancel')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Cancel a replay',
    description: 'Its results so far stay. One that has ended stays as it is.',
  })
  @Answers(ReplayAnswer)
  async cancel(@CurrentCaller() { orgId, actor }: Caller, @Param('id') id: string): Promise<ReplayAnswer> {
    await this.replays.get(orgId, id);
    const by = { actor, now: this.clock.now() };
    const position = await changeReplay(this.store, id, by, ({ kind }) =>
      kind === 'ended' ? undefined : { type: 'replay.cancelled', data: { replayId: id } },
    );
    await hasSeen(this.progress, followers.replays, position);
    return this.replays.get(orgId, id);
  }
}

const onlyAdmins = (): Rejected =>
  new Rejected('forbidden', 'replay.needs_admin', 'A rerun acts: it needs a token with the role admin.');

function otherCount(count: number): Rejected {
  const detail =
    count === 0
      ? 'The rules and workflows act on none of these events.'
      : `Must be ${count}, the number of events that are acted on.`;
  return new Rejected('conflict', 'replay.other_count', `Nothing was done. /confirm: ${detail}`, {
    problems: [{ pointer: '/confirm', detail, code: 'replay.other_count' }],
  });
}
