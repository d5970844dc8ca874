import { Body, Controller, Inject, Post } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiPropertyOptional, ApiResponse, ApiTags } from '@nestjs/swagger';
import { IsObject, IsOptional, IsString, Length, Matches } from 'class-validator';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import { type Caller, newIdFor } from '#libs/access/src/caller.js';
import { IsTime } from '#libs/access/src/time.body.js';
import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { EventStore, WrongRevision } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { dataProblems } from '#libs/event-types/src/own-schema.js';
import { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import { isEventType } from '#libs/events/src/catalogue.js';
import { problemsOf } from '#libs/events/src/check.js';
import { eventUuidOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { parseTime } from '#libs/kernel/src/time/times.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

import { publishable } from './publishable.js';

export class NewPublishedEvent {
  @ApiProperty({
    example: 'release.published',
    description: 'An event type that programs may publish (GET /api/v1/event-types).',
  })
  @IsString()
  @Length(1, 200)
  type!: string;

  @ApiPropertyOptional({ example: 'deploy-bot', description: 'Where it comes from; default `api`.' })
  @IsOptional()
  @Matches(/^[a-z0-9][a-z0-9._-]{0,99}$/, {
    message: 'must be lower-case letters, digits, dots, dashes and underscores, such as deploy-bot',
  })
  source?: string;

  @ApiPropertyOptional({ example: 'repository/acme/app', description: 'What it is about.' })
  @IsOptional()
  @IsString()
  @Length(1, 500)
  subject?: string;

  @ApiPropertyOptional({ format: 'date-time', description: 'When it happened; default now.' })
  @IsOptional()
  @IsTime()
  timestamp?: string;

  @ApiProperty({ type: Object, description: 'Must match the schema of the type.' })
  @IsObject()
  data!: object;
}

export class PublishedEvent {
  @ApiProperty({ example: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a' }) id!: string;
  @ApiProperty({ description: 'An earlier request with this Idempotency-Key published it.' }) duplicate!: boolean;
}

@ApiTags('events')
@Controller('api/v1/events')
export class PublishController {
  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(Plugins) private readonly plugins: Plugins,
    @Inject(OwnTypeTable) private readonly ownTypes: OwnTypeTable,
  ) {}

  @Post()
  @Roles('integrator', 'designer')
  @ApiOperation({
    summary: 'Publish an event',
    description:
      'Rules, workflows and webhooks treat it like any other event. With an `Idempotency-Key` it is published once, without a time limit.',
  })
  @ApiResponse({ status: 201, type: PublishedEvent })
  async publish(@CurrentCaller() caller: Caller, @Body() body: NewPublishedEvent): Promise<PublishedEvent> {
    const own = this.ownTypes.find(caller.orgId, body.type);
    const isOwn = () => own?.kind === 'known';
    const type = publishable(body.type, body.source, (name) => this.isProvider(name), isOwn);
    const problems = isEventType(type)
      ? problemsOf(type, body.data, '/data')
      : dataProblems(own!.content.schema, body.data);
    if (problems.length > 0)
      throw new Rejected(
        'invalid',
        'event.data_invalid',
        `The data does not fit the schema of ${type}. GET /api/v1/event-types/${type} shows the schema, with an example.`,
        { problems },
      );
    const id = newIdFor(caller, 'evt');
    const event = newEvent(
      {
        type,
        data: body.data,
        ...(own && { schemaVersion: own.version }),
        ...(body.timestamp !== undefined && { timestamp: parseTime(body.timestamp)!.toISOString() }),
      },
      {
        id: eventUuidOf(id)!,
        orgId: caller.orgId,
        actor: caller.actor,
        now: this.clock.now(),
        source: body.source ?? 'api',
        subject: body.subject ?? '',
      },
    );
    try {
      // The key names the stream: the same key opens it once.
      const stream = streams.published(caller.orgId, caller.idempotencyKey ?? id);
      const { position, repeated } = await this.store.append(stream, [event], 'no-stream');
      await hasSeen(this.progress, followers.eventIndex, position);
      return { id, duplicate: repeated };
    } catch (error) {
      if (error instanceof WrongRevision)
        throw new Rejected(
          'conflict',
          'event.key_reused',
          'This Idempotency-Key was used for another event. Use a new key.',
          { cause: error },
        );
      throw error;
    }
  }

  private isProvider(name: string): boolean {
    return this.plugins.providers.has(name) || this.plugins.presets.has(name);
  }
}
