import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { Controller, Get, Headers, HttpCode, Inject, Param, Post, Query, Res, StreamableFile } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import { Type } from '@sinclair/typebox';
import { DataSource } from 'typeorm';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import { type Caller, newIdFor } from '#libs/access/src/caller.js';
import { Answers, AnswersPage } from '#libs/access/src/shapes.controller.js';
import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress, type Projection, Projections } from '#libs/event-store/src/subscriber.js';
import { DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { ProjectionAnswer, RebuildAnswer } from '#libs/events/src/shapes/audit/projection-shape.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { PREFIXES } from '#libs/kernel/src/ids.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { SHUTDOWN } from '#libs/kernel/src/shutdown.js';
import type { Page } from '#libs/kernel/src/paging.js';
import { readPage } from '#libs/persistence/src/paging.js';
import { statesOf } from '#libs/persistence/src/rebuild/rebuild-rows.adapter.js';
import { RebuildView } from '#libs/persistence/src/rebuild/rebuild.view.js';

import { endRebuild, notFound, requestRebuild } from './rebuild-stream.js';
import { rebuildAnswer } from './rebuild-answer.js';

const LOOK_MS = 250;
const EVENT_STREAM = 'text/event-stream';
const ProjectionList = Type.Object(
  { data: Type.Array(ProjectionAnswer), nextCursor: Type.Null() },
  { $id: 'ProjectionList' },
);

/** Rows that are folded from the log, of the whole installation. */
@ApiTags('projections')
@Roles('auditor')
@Controller('api/v1/projections')
export class ProjectionController {
  constructor(
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Projections) private readonly projections: Projections,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(SHUTDOWN) private readonly shutdown: AbortSignal,
  ) {}

  @Get()
  @ApiOperation({
    summary: 'List projections',
    description: 'What can be rebuilt from the log, how far it is, and which version of the code made its rows.',
  })
  @Answers(ProjectionList)
  async list(): Promise<{ data: ProjectionAnswer[]; nextCursor: null }> {
    return { data: await this.shown(this.projections.all), nextCursor: null };
  }

  @Get(':name')
  @ApiOperation({ summary: 'One projection' })
  @Answers(ProjectionAnswer)
  async view(@Param('name') name: string): Promise<ProjectionAnswer> {
    return (await this.shown([this.find(name)]))[0]!;
  }

  @Post(':name/rebuild')
  @Roles('admin')
  @HttpCode(202)
  @ApiOperation({
    summary: 'Rebuild a projection',
    description:
      'Folds the log into tables beside the live ones, which go on, and puts them in their place in one transaction. For admins of the installation.',
  })
  @Answers(RebuildAnswer, 202)
  rebuild(@CurrentCaller() caller: Caller, @Param('name') name: string): Promise<RebuildAnswer> {
    return this.request(caller, name, 'rebuild');
  }

  @Post(':name/verify')
  @Roles('admin')
  @HttpCode(202)
  @ApiOperation({
    summary: 'Verify a projection',
    description: 'Folds the log into tables beside the live ones and names the rows that differ. Changes nothing.',
  })
  @Answers(RebuildAnswer, 202)
  verify(@CurrentCaller() caller: Caller, @Param('name') name: string): Promise<RebuildAnswer> {
    return this.request(caller, name, 'verify');
  }

  @Get(':name/rebuilds')
  @ApiOperation({ summary: 'List rebuilds and verifications', description: 'Newest first.' })
  @AnswersPage(RebuildAnswer)
  async rebuilds(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<RebuildAnswer>> {
    ofInstallation(caller);
    const query = this.database.getRepository(RebuildView).createQueryBuilder('rebuild');
    query.where('rebuild.projection = :name', { name: this.find(name).name });
    const { rows, nextCursor } = await readPage(query, { limit, cursor }, { requestedAt: 'time', id: 'text' }, 'DESC');
    return { data: rows.map(rebuildAnswer), nextCursor };
  }

  @Get(':name/rebuilds/:id')
  @ApiOperation({
    summary: 'One rebuild or verification, and how far it is',
    description: 'With `Accept: text/event-stream`: the same as server-sent events, as it goes on, until it has ended.',
  })
  @ApiProduces('application/json', EVENT_STREAM)
  @Answers(RebuildAnswer)
  async progressOf(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Param('id') id: string,
    @Headers('accept') accept = '',
    @Res({ passthrough: true }) reply: { header(name: string, value: string): unknown },
  ): Promise<RebuildAnswer | StreamableFile> {
    ofInstallation(caller);
    const answer = await this.found(name, id);
    reply.header('vary', 'accept');
    if (!accept.includes(EVENT_STREAM)) return answer;
    reply.header('cache-control', 'no-store');
    return new StreamableFile(Readable.from(this.looks(answer), { objectMode: false }), { type: EVENT_STREAM });
  }

  @Post(':name/rebuilds/:id/cancel')
  @Roles('admin')
  @HttpCode(200)
  @ApiOperation({ summary: 'Cancel a rebuild or verification', description: 'The live rows stay as they are.' })
  @Answers(RebuildAnswer)
  async cancel(
    @CurrentCaller() caller: Caller,
    @Param('name') projection: string,
    @Param('id') rebuildId: string,
  ): Promise<RebuildAnswer> {
    ofInstallation(caller);
    const { mode } = await this.found(projection, rebuildId);
    const data = { rebuildId, projection, mode, outcome: 'cancelled' as const };
    const { actor } = caller;
    await hasSeen(
      this.progress,
      followers.rebuilds,
      await endRebuild(this.store, data, { actor, now: this.clock.now() }),
    );
    return this.found(projection, rebuildId);
  }

  private async request(caller: Caller, name: string, mode: RebuildAnswer['mode']): Promise<RebuildAnswer> {
    ofInstallation(caller);
    const { name: projection } = this.find(name);
    const rebuildId = newIdFor(caller, PREFIXES.rebuild);
    const now = this.clock.now();
    const position = await requestRebuild(this.store, { rebuildId, projection, mode }, caller, now);
    await hasSeen(this.progress, followers.rebuilds, position);
    const row = await this.database.getRepository(RebuildView).findOneBy({ id: rebuildId });
    if (row) return rebuildAnswer(row);
    const fresh = { status: 'running' as const, requestedBy: caller.actor, requestedAt: now.toISOString() };
    return { id: rebuildId, projection, mode, ...fresh, endedAt: null, events: 0, position: null, target: null };
  }

  /** Whoever goes away ends it: nothing is asked for any more. */
  private async *looks(first: RebuildAnswer): AsyncGenerator<string> {
    let answer = first;
    for (let sent = ''; !this.shutdown.aborted;) {
      const data = stringifyJson(answer);
      if (data !== sent) yield `data: ${data}\n\n`;
      sent = data;
      if (answer.status !== 'running') return;
      await delay(LOOK_MS, undefined, { signal: this.shutdown }).catch(() => undefined);
      answer = await this.found(answer.projection, answer.id);
    }
  }

  private async found(projection: string, id: string): Promise<RebuildAnswer> {
    const row = await this.database.getRepository(RebuildView).findOneBy({ id, projection });
    if (!row) throw notFound(id);
    return rebuildAnswer(row);
  }

  private async shown(projections: readonly Projection[]): Promise<ProjectionAnswer[]> {
    const head = await this.store.head();
    const states = new Map((await statesOf(this.database, projections)).map((state) => [state.name, state]));
    return projections.map(({ name, keeps: { tables, foldVersion } }) => {
      const { position, since, version, rows: count, rebuild } = states.get(name)!;
      const isBehind = position === null || BigInt(position) < head;
      const waited = since === null ? 0 : Math.max(0, this.clock.now().getTime() - since.getTime());
      return {
        ...{ name, tables: [...tables], foldVersion, rowsVersion: version, position, head: String(head), rebuild },
        lagSeconds: isBehind ? waited / 1000 : 0,
        rows: Number(count ?? 0),
      };
    });
  }

  private find(name: string): Projection {
    const found = this.projections.all.find((one) => one.name === name);
    if (found) return found;
    throw new Rejected(
      'not_found',
      'projection.not_found',
      `There is no projection ${name}. GET /api/v1/projections lists those that can be rebuilt.`,
    );
  }
}

/** Rows are those of all organisations. */
function ofInstallation({ orgId }: Caller): void {
  if (orgId === DEFAULT_ORG) return;
  throw new Rejected(
    'forbidden',
    'projection.not_installation',
    'Projections hold the rows of all organisations. Ask the operator of this installation.',
  );
}
