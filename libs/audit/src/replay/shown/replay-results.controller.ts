import { Readable } from 'node:stream';

import { Controller, Get, Headers, Inject, Param, Query, Res } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiQuery, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers, AnswersPage } from '#libs/access/src/shapes.controller.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { ReplayAnswer, ReplayResultAnswer } from '#libs/events/src/shapes/audit/replay-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { SHUTDOWN } from '#libs/kernel/src/shutdown.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { pageOf, pagingOf } from '#libs/kernel/src/paging.js';

import { followReplay, progressEvents, progressLines } from './follow-replay.js';
import { type KnownReplay, readReplay } from '../replay.js';
import { ReplayRows } from '../replay-rows.adapter.js';
import { hasEnded, Replays } from '../replay-list.adapter.js';
import { ShownResults } from './shown-results.adapter.js';

/** As much of a Fastify reply as is used here. */
interface Reply {
  type(contentType: string): Reply;
  header(name: string, value: string): Reply;
  send(body: Readable | string): Reply;
  readonly raw: { once(event: 'close', listener: () => void): void };
}

const JSON_TYPE = 'application/json; charset=utf-8';
const NDJSON = 'application/x-ndjson';
const EVENT_STREAM = 'text/event-stream';
/** Results of one read of the log. */
const BATCH = 100;
/** Clients of one process that follow a replay. */
const MAX_FOLLOWERS = 100;

/** How far a replay is, and what it found. */
@ApiTags('audit')
@Roles('auditor')
@Controller('api/v1/replays/:id')
export class ReplayResultsController {
  private followers = 0;

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Replays) private readonly replays: Replays,
    @Inject(ReplayRows) private readonly rows: ReplayRows,
    @Inject(ShownResults) private readonly results: ShownResults,
    @Inject(EventReader) private readonly events: EventReader,
    @Inject(SHUTDOWN) private readonly shutdown: AbortSignal,
  ) {}

  @Get('progress')
  @ApiOperation({
    summary: 'Follow a replay to its end',
    description:
      'Lines `{ "progress": … }` as it goes on, at last `{ "result": … }`; each holds the replay. With `Accept: text/event-stream` server-sent events `progress` and `end`.',
  })
  @ApiProduces(NDJSON, EVENT_STREAM)
  @Answers(ReplayAnswer)
  async progress(
    @CurrentCaller() { orgId }: Caller,
    @Param('id') id: string,
    @Res() reply: Reply,
    @Headers('accept') accept?: string,
  ): Promise<void> {
    await this.replays.get(orgId, id);
    const signal = this.follower(reply);
    const replays = followReplay(() => this.replays.get(orgId, id), signal);
    const isStream = accept?.includes(EVENT_STREAM) === true;
    const lines = isStream ? progressEvents(replays) : progressLines(replays);
    reply
      .type(isStream ? EVENT_STREAM : NDJSON)
      .header('cache-control', 'no-store')
      .header('x-accel-buffering', 'no')
      .send(Readable.from(lines, { objectMode: false }));
  }

  @Get('results')
  @ApiOperation({
    summary: 'List the results of a replay',
    description:
      'In the order of the log. With `Accept: application/x-ndjson` all of them, one a line; with `follow=true` until the replay has ended.',
  })
  @ApiQuery({
    name: 'differs',
    required: false,
    enum: ['true', 'false'],
    description: 'Of `what_if`: true for those with a difference alone. Default: false.',
  })
  @ApiQuery({ name: 'follow', required: false, enum: ['true', 'false'], description: 'Of NDJSON. Default: false.' })
  @ApiProduces('application/json', NDJSON)
  @AnswersPage(ReplayResultAnswer)
  async list(
    @CurrentCaller() { orgId }: Caller,
    @Param('id') id: string,
    @Res() reply: Reply,
    @Headers('accept') accept?: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
    @Query('follow') follow?: string,
    @Query('differs') differs?: string,
  ): Promise<void> {
    const paging = pagingOf(limit, cursor, ['number']);
    const after = paging.after && BigInt(paging.after[0]!);
    const [isFollowed, differing] = [isTrue('follow', follow), isTrue('differs', differs)];
    await this.replays.get(orgId, id);
    const replay = await readReplay(this.store, id);
    // What was decided about the newest events is to be found.
    await this.events.settle();
    if (accept?.includes(NDJSON) === true) {
      const most = limit === undefined ? Infinity : paging.limit;
      const signal = this.follower(reply);
      const lines = this.lines(replay, id, { after, most, follow: isFollowed, differs: differing }, signal);
      reply.type(NDJSON).send(Readable.from(lines, { objectMode: false }));
      return;
    }
    const places = await this.rows.results(id, { after, differs: differing }, paging.limit + 1);
    const page = pageOf(
      places,
      paging,
      (place) => [String(place)],
      (place) => place,
    );
    const data = await this.results.at(replay, page.data);
    reply.type(JSON_TYPE).send(`{"data":[${data.join(',')}],"nextCursor":${stringifyJson(page.nextCursor)}}`);
  }

  private async *lines(
    replay: KnownReplay,
    id: string,
    { after, most, follow, differs }: { after: bigint | undefined; most: number; follow: boolean; differs: boolean },
    signal: AbortSignal,
  ): AsyncGenerator<string> {
    const { orgId } = replay.requested.metadata;
    let [at, left] = [after, most];
    const rest = async function* (this: ReplayResultsController): AsyncGenerator<string> {
      for (;;) {
        const places = await this.rows.results(id, { after: at, differs }, Math.min(BATCH, left));
        if (places.length === 0) return;
        yield (await this.results.at(replay, places)).map((line) => `${line}\n`).join('');
        at = places.at(-1);
        left -= places.length;
        if (left <= 0 || signal.aborted) return;
      }
    }.bind(this);
    if (follow)
      for await (const now of followReplay(() => this.replays.get(orgId, id), signal)) {
        if (!now) yield '\n';
        // What was found before it ended comes below.
        else if (!hasEnded(now)) yield* rest();
        if (left <= 0) return;
      }
    yield* rest();
  }

  /**
   * Aborts when the client is gone, or the process stops.
   * @throws Rejected `replay.busy` (429)
   */
  private follower(reply: Reply): AbortSignal {
    if (this.followers >= MAX_FOLLOWERS)
      throw new Rejected('rate_limited', 'replay.busy', 'Too many clients follow replays. Try again shortly.', {
        retryAfter: 5,
      });
    this.followers++;
    const gone = new AbortController();
    reply.raw.once('close', () => {
      this.followers--;
      gone.abort();
    });
    return AbortSignal.any([gone.signal, this.shutdown]);
  }
}

function isTrue(name: string, text: string | undefined): boolean {
  if (text === undefined || text === 'false' || text === 'true') return text === 'true';
  throw new Rejected('invalid', 'replay.bad_parameter', `"${name}" must be true or false.`);
}
