import { Body, Controller, Get, Inject, Put } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers, Takes } from '#libs/access/src/shapes.controller.js';
import { carryOut } from '#libs/event-store/src/carry-out.js';
import { fold } from '#libs/event-store/src/command-handlers.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { RetentionAnswer, RetentionBody } from '#libs/events/src/shapes/audit/retention-shape.js';
import { streams } from '#libs/events/src/streams.js';

import { answerOf, ChangeRetention, retention, type Retention } from './retention.js';

/** How long things are kept. */
@ApiTags('audit')
@Controller('api/v1/retention')
export class RetentionController {
  constructor(
    @Inject(CommandBus) readonly commands: CommandBus,
    @Inject(Progress) readonly progress: Progress,
    @Inject(EventStore) private readonly store: EventStore,
  ) {}

  @Get()
  @ApiOperation({ summary: 'How long payloads, decisions, attempts and runs are kept', description: 'In days.' })
  @Answers(RetentionAnswer)
  async view(@CurrentCaller() { orgId }: Caller): Promise<RetentionAnswer> {
    return answerOf(fold(retention, await readWhole(this.store, streams.retention(orgId))));
  }

  @Put()
  @Roles('admin')
  @ApiOperation({
    summary: 'Change how long payloads, decisions, attempts and runs are kept',
    description:
      'What is left out is kept without limit. What is older is removed from the log and from all tables within the hour, once a checkpoint covers it and nothing that is open needs it. It cannot be brought back. Its hashes stay, so that the log still verifies.',
  })
  @Takes(RetentionBody)
  @Answers(RetentionAnswer)
  async change(@CurrentCaller() caller: Caller, @Body() sent: object): Promise<RetentionAnswer> {
    const given = checkBody(RetentionBody, sent, { prefix: 'retention' });
    const days = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null)) as Retention;
    const { state } = await carryOut(this, new ChangeRetention(caller, days), followers.retain);
    return answerOf(state);
  }
}
