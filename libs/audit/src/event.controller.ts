import { Readable } from 'node:stream';

import { Controller, Get, Headers, Inject, Param, Query, Res } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiProperty, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';

import { CurrentCaller } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import type { EventQuery } from '#libs/event-index/src/event-query.js';
import { eventNotFound, EventReader, MAX_TRACED } from '#libs/event-index/src/event-reader.adapter.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { eventIdOf, eventUuidOf } from '#libs/events/src/envelope.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { EventFilters } from './event-filters.controller.js';
import { eventJson } from './event-json.js';
import { cursorOf, type Parameters, parseQuery } from './event-parameters.js';
import { EventViewTable } from './views/event-view.table.js';
import { type TraceNode, traceOf } from './trace.js';

/** As much of a Fastify reply as is used here: answers whose bytes are written by hand. */
interface Reply {
  type(contentType: string): Reply;
  send(body: string | Readable): Reply;
}

class EventMetadataAnswer {
  @ApiProperty({ description: 'Position in the log: opaque, for comparison only.' }) position!: string;
  @ApiProperty() stream!: string;
  @ApiProperty() revision!: number;
  @ApiProperty({ description: 'The first event of the story.' }) correlationId!: string;
  @ApiProperty({ type: String, nullable: true, description: 'The event that directly caused this one.' })
  causationId!: string | null;
  @ApiProperty({ description: 'Number of causes before it.' }) hop!: number;
  @ApiProperty({
    type: [String],
    required: false,
    description: 'Ids of the rules, workflows and webhooks that led to it.',
    example: ['rul_01jq5x1d0wkz4s3v2n8m7b6c5a'],
  })
  causedBy?: string[];
  @ApiProperty({ example: 'integration/int_01jq5x1d0wkz4s3v2n8m7b6c5a' }) actor!: string;
  @ApiProperty({ format: 'date-time', description: 'When the event reached this server.' }) receivedAt!: string;
  @ApiProperty() schemaVersion!: number;
  @ApiProperty({
    type: Object,
    required: false,
    description: '`{ reason, by, at }` while the event is in quarantine: rules, workflows and webhooks pass over it.',
  })
  quarantine?: object;
}

export class EventAnswer {
  @ApiProperty({ example: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a' }) id!: string;
  @ApiProperty({ example: 'git.push' }) type!: string;
  @ApiProperty({ example: 'github' }) source!: string;
  @ApiProperty({ example: 'repository/acme/app' }) subject!: string;
  @ApiProperty() orgId!: string;
  @ApiProperty({ format: 'date-time', description: 'When it happened, as its source says.' }) timestamp!: string;
  @ApiProperty({ type: Object, description: 'As recorded, byte for byte.' }) data!: object;
  @ApiProperty() metadata!: EventMetadataAnswer;
}

export class EventPageAnswer {
  @ApiProperty({ type: [EventAnswer] }) data!: EventAnswer[];
  @ApiProperty({ type: String, nullable: true }) nextCursor!: string | null;
}

export class TraceAnswer {
  @ApiProperty({ description: 'The event that was asked for.' }) eventId!: string;
  @ApiProperty() correlationId!: string;
  @ApiProperty({ description: 'Events in the tree.' }) count!: number;
  @ApiProperty({ description: `Only the first ${MAX_TRACED} events of the story are shown.` }) truncated!: boolean;
  @ApiProperty({
    type: Object,
    description:
      '`{ id, type, source, subject, timestamp, receivedAt, gapMs, children[] }`; `gapMs` is the time since the parent was recorded.',
  })
  root!: TraceNode;
}

const JSON_TYPE = 'application/json; charset=utf-8';
const NDJSON = 'application/x-ndjson';

@ApiTags('events')
@Controller('api/v1/events')
export class EventController {
  private readonly json = (event: RecordedEvent): string => eventJson(event, this.events.markOf(event.id));

  constructor(
    @Inject(EventReader) private readonly events: EventReader,
    @Inject(EventViewTable) private readonly views: EventViewTable,
  ) {}

  @Get()
  @ApiOperation({
    summary: 'Search the log',
    description:
      'Newest first, in pages; with `Accept: application/x-ndjson` every matching event up to `limit`, one a line, oldest first. With `actor`, `text` or `filter` a page may be shorter than asked for, or empty, and still have a `nextCursor`.',
  })
  @EventFilters()
  @ApiQuery({ name: 'order', required: false, enum: ['asc', 'desc'] })
  @ApiQuery({
    name: 'limit',
    required: false,
    description: '1 to 200, default 50. As NDJSON any number, default: all.',
  })
  @ApiQuery({ name: 'cursor', required: false })
  @ApiProduces('application/json', NDJSON)
  @ApiResponse({ status: 200, type: EventPageAnswer })
  async list(
    @CurrentCaller() caller: Caller,
    @Query() given: Parameters,
    @Headers('accept') accept: string | undefined,
    @Res() reply: Reply,
  ): Promise<void> {
    const parameters = this.views.resolve(caller.orgId, given);
    const exporting = accept?.includes(NDJSON) === true;
    const query = parseQuery(parameters, caller.orgId, exporting ? 'lines' : 'page');
    if (query.after === undefined) await this.events.settle();
    if (exporting) {
      reply.type(NDJSON).send(Readable.from(this.lines(query), { objectMode: false }));
      return;
    }
    const { events, next } = await this.events.page(query);
    const cursor = next === undefined ? null : cursorOf(next);
    reply.type(JSON_TYPE).send(`{"data":[${events.map(this.json).join(',')}],"nextCursor":${stringifyJson(cursor)}}`);
  }

  @Get(':id')
  @ApiOperation({ summary: 'One event with its data and metadata' })
  @ApiResponse({ status: 200, type: EventAnswer })
  async view(@CurrentCaller() caller: Caller, @Param('id') id: string, @Res() reply: Reply): Promise<void> {
    reply.type(JSON_TYPE).send(this.json(await this.events.get(caller.orgId, id)));
  }

  @Get(':id/trace')
  @ApiOperation({
    summary: 'Trace an event',
    description: 'All events with the same correlation as a tree of causes, from the first event to the last delivery.',
  })
  @ApiResponse({ status: 200, type: TraceAnswer })
  async trace(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<TraceAnswer> {
    const uuid = eventUuidOf(id);
    await this.events.settle();
    const correlation = uuid && (await this.events.correlationOf(caller.orgId, uuid));
    if (correlation === undefined) throw eventNotFound(id);
    const story = await this.events.story(caller.orgId, correlation);
    return {
      eventId: id,
      correlationId: eventIdOf(correlation),
      count: story.length,
      truncated: story.length === MAX_TRACED,
      root: traceOf(story, correlation),
    };
  }

  private async *lines(query: EventQuery): AsyncGenerator<string> {
    for await (const events of this.events.all(query)) {
      if (events.length > 0) yield `${events.map(this.json).join('\n')}\n`;
    }
  }
}
