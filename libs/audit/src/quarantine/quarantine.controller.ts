import { Body, Controller, Delete, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers, Takes } from '#libs/access/src/shapes.controller.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { carryOut } from '#libs/event-store/src/carry-out.js';
import { Quarantine } from '#libs/event-store/src/runner/quarantine.table.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { NewQuarantine, QuarantineAnswer } from '#libs/events/src/shapes/audit/quarantine-shape.js';

import { checkQuarantinable, MOST_QUARANTINED, QuarantineEvent, quarantineFull, ReleaseEvent } from './quarantine.js';

/** Marking events as bad. */
@ApiTags('events')
@Controller('api/v1/events/:id/quarantine')
export class QuarantineController {
  constructor(
    @Inject(CommandBus) readonly commands: CommandBus,
    @Inject(Progress) readonly progress: Progress,
    @Inject(EventReader) private readonly events: EventReader,
    @Inject(Quarantine) private readonly quarantine: Quarantine,
  ) {}

  @Post()
  @Roles('admin')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Put an event in quarantine',
    description:
      'Everything that has not processed the event yet passes over it from now on, also when tables are rebuilt. The event stays in the log and is shown with `metadata.quarantine`. What has followed from it already goes on. Another reason replaces the first.',
  })
  @Takes(NewQuarantine)
  @Answers(QuarantineAnswer)
  async mark(
    @CurrentCaller() caller: Caller,
    @Param('id') eventId: string,
    @Body() sent: object,
  ): Promise<QuarantineAnswer> {
    const { reason } = checkBody(NewQuarantine, sent, { prefix: 'quarantine' });
    const event = await this.events.get(caller.orgId, eventId);
    checkQuarantinable(event);
    const { quarantine } = this;
    if (!quarantine.has(event.id) && quarantine.countOf(caller.orgId) >= MOST_QUARANTINED) throw quarantineFull();
    const { state } = await carryOut(this, new QuarantineEvent(eventId, caller, reason), quarantine.name);
    if (state.kind !== 'marked') throw new Error('an event that was just marked is in quarantine');
    const { by, at } = state.mark;
    return { eventId, reason, by, at };
  }

  @Delete()
  @Roles('admin')
  @HttpCode(204)
  @ApiOperation({
    summary: 'Release an event from quarantine',
    description: 'What has passed over the event does not go back to it. To make rules act on it, use a replay.',
  })
  @ApiResponse({ status: 204 })
  async release(@CurrentCaller() caller: Caller, @Param('id') eventId: string): Promise<void> {
    await this.events.get(caller.orgId, eventId);
    await carryOut(this, new ReleaseEvent(eventId, caller), this.quarantine.name);
  }
}
