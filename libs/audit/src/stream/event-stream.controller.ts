import { type Readable } from 'node:stream';

import { Controller, Get, Headers, Inject, Logger, Query, Res } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiProduces, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';

import { CurrentCaller } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { TokenTable } from '#libs/access/src/token/token.table.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Transient } from '#libs/kernel/src/errors.js';

import { EventFilters } from '../event-filters.controller.js';
import { type Parameters, parseQuery, resumePoint } from '../event-parameters.js';
import { type Ending, EventStream } from './event-stream.js';
import { FollowLog } from './follow-log.js';
import { OpenStreams } from './open-streams.js';
import { EventViewTable } from '../views/event-view.table.js';

/** As much of a Fastify reply as is used here. */
interface Reply {
  type(contentType: string): Reply;
  header(name: string, value: string): Reply;
  send(body: Readable): Reply;
  readonly raw: { once(event: 'close', listener: () => void): unknown; destroy(): unknown };
}

const EVENT_STREAM = 'text/event-stream';
const REVOKED: Ending = { code: 'token.unknown', detail: 'The API token was revoked or has expired.' };
const UNAVAILABLE: Ending = {
  code: 'log.unavailable',
  detail: 'The server cannot read the log at the moment. Connect again with Last-Event-ID.',
};
const INTERNAL: Ending = {
  code: 'server.internal',
  detail: "An internal error occurred. It is in the server's log.",
};

/** Events as they are recorded. */
@ApiTags('events')
@Controller('api/v1/events')
export class EventStreamController {
  private readonly log = new Logger(EventStreamController.name);

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(EventReader) private readonly events: EventReader,
    @Inject(TokenTable) private readonly tokens: TokenTable,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(OpenStreams) private readonly streams: OpenStreams,
    @Inject(EventViewTable) private readonly views: EventViewTable,
  ) {}

  @Get('stream')
  @ApiOperation({
    summary: 'Follow the log',
    description:
      'Server-sent events, without end: each `data` is an event, its `id` is the position. Connect again with `Last-Event-ID` to go on from there; browsers do. A comment every 15 seconds keeps the connection open. A client that reads too slowly gets `event: skipped` with `{ count, fromPosition, toPosition }`: `GET /api/v1/events` has those events. `event: end` with `{ code, detail }` is the last one. At most 25 streams for each organisation and process.',
  })
  @EventFilters()
  @ApiQuery({
    name: 'after',
    required: false,
    description:
      'Begin after this position (0: with the first event). Default: with the next event, or with the first that `from` or `fromPosition` includes.',
  })
  @ApiHeader({ name: 'Last-Event-ID', required: false, description: 'As `after`; takes precedence.' })
  @ApiProduces(EVENT_STREAM)
  @ApiResponse({
    status: 200,
    description: 'Server-sent events.',
    content: { [EVENT_STREAM]: { schema: { type: 'string' } } },
  })
  async follow(
    @CurrentCaller() caller: Caller,
    @Query() { after, ...parameters }: Parameters,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Res() reply: Reply,
  ): Promise<void> {
    const query = parseQuery(this.views.resolve(caller.orgId, parameters), caller.orgId, 'lines');
    const given = resumePoint(after, lastEventId);
    const fromPast = query.from !== undefined || query.fromPosition !== undefined;
    const start = given ?? (fromPast ? 0n : await this.store.head());
    // Nothing is waited for between this check and the place that is taken.
    this.streams.checkRoom(caller.orgId);
    const gone = new AbortController();
    const stream = new EventStream(start);
    const walk = new FollowLog(this.store, this.events, query, start, stream);
    const forget = this.streams.add({
      orgId: caller.orgId,
      stream,
      position: () => walk.position,
      refusal: () => (this.isValid(caller) ? undefined : REVOKED),
      cut: () => reply.raw.destroy(),
    });
    const close = (): void => {
      forget();
      gone.abort();
    };
    reply.raw.once('close', close);
    stream.output.once('close', close);
    // Proxies such as nginx would collect the answer.
    reply.type(EVENT_STREAM).header('cache-control', 'no-store').header('x-accel-buffering', 'no').send(stream.output);
    try {
      await walk.run(gone.signal);
    } catch (error) {
      if (gone.signal.aborted) return;
      if (!(error instanceof Transient)) this.log.error(error);
      stream.end(error instanceof Transient ? UNAVAILABLE : INTERNAL);
    }
  }

  private isValid({ orgId, tokenId }: Caller): boolean {
    const token = this.tokens.get(orgId, tokenId);
    return token !== undefined && (token.expiresAt === undefined || token.expiresAt > this.clock.now());
  }
}
