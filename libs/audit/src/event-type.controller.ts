import { Controller, Get, Param } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiResponse, ApiTags } from '@nestjs/swagger';
import { Type } from '@sinclair/typebox';

import { catalogue, isEventType } from '#libs/events/src/catalogue.js';
import type { EventDefinition } from '#libs/events/src/define-event.js';
import { Rejected } from '#libs/kernel/src/errors.js';

export class EventTypeAnswer {
  @ApiProperty({ example: 'git.push' }) type!: string;
  @ApiProperty() description!: string;
  @ApiProperty({ description: 'Recorded by Millrace about itself; `*` does not match it.' }) system!: boolean;
  @ApiProperty({ description: 'Current version of `data`.' }) version!: number;
  @ApiProperty({ type: Object, description: 'JSON Schema of `data`.' }) schema!: object;
  @ApiProperty({ type: Object, description: 'An example of `data`.' }) example!: unknown;
}

export class EventTypePage {
  @ApiProperty({ type: [EventTypeAnswer] }) data!: EventTypeAnswer[];
  @ApiProperty({ type: String, nullable: true }) nextCursor!: string | null;
}

/** By name. The catalogue is part of the program: all of it is one page. */
const all: readonly EventTypeAnswer[] = Object.entries(catalogue as Readonly<Record<string, EventDefinition>>)
  .map(([type, { description, system, version, data, example, hidden = [] }]) => ({
    type,
    description,
    system: system === true,
    version: version ?? 1,
    schema: hidden.length === 0 ? data : Type.Omit(data, hidden),
    example: Object.fromEntries(Object.entries(example).filter(([key]) => !hidden.includes(key))),
  }))
  .sort((a, b) => (a.type < b.type ? -1 : 1));

@ApiTags('event types')
@Controller('api/v1/event-types')
export class EventTypeController {
  @Get()
  @ApiOperation({ summary: 'List event types with their JSON Schema and an example' })
  @ApiResponse({ status: 200, type: EventTypePage })
  list(): EventTypePage {
    return { data: [...all], nextCursor: null };
  }

  @Get(':type')
  @ApiOperation({ summary: 'One event type' })
  @ApiResponse({ status: 200, type: EventTypeAnswer })
  view(@Param('type') type: string): EventTypeAnswer {
    if (!isEventType(type))
      throw new Rejected(
        'not_found',
        'event_type.not_found',
        `There is no event type ${type}. GET /api/v1/event-types lists them.`,
      );
    return all.find((one) => one.type === type)!;
  }
}
