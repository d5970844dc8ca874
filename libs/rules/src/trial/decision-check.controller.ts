import { setImmediate } from 'node:timers/promises';

import { Controller, Get, Inject } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiResponse, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';

import { DecisionCheck, type Discrepancy } from './decision-check.js';

export class DecisionCheckAnswer {
  @ApiProperty({ description: 'Events whose source and type at least one rule in force named.' }) events!: number;
  @ApiProperty({ description: 'Rules that were to decide about them, all events together.' }) pairs!: number;
  @ApiProperty({ description: 'Events of which a verdict is missing, or of which there are too many.' })
  discrepancyCount!: number;
  @ApiProperty({ type: [Object], description: 'The first hundred.' }) discrepancies!: readonly Discrepancy[];
  @ApiProperty({ description: 'Bytes of the records that hold the verdicts, roughly.' }) bytes!: number;
  @ApiProperty({ description: 'Position up to which the log was read.' }) upTo!: string;
}

const PAGE = 200;
const PATIENCE_MS = 30_000;

/** Check that every event has its decisions: the log held against itself. */
@ApiTags('rules')
@Controller('api/v1/decisions')
export class DecisionCheckController {
  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Progress) private readonly progress: Progress,
  ) {}

  @Get('check')
  @Roles('auditor', 'designer')
  @ApiOperation({
    summary: 'Check that every event has its decisions',
    description:
      'Reads the whole log: every active rule that names the source and type of an event must have one decision on it.',
  })
  @ApiResponse({ status: 200, type: DecisionCheckAnswer })
  async check(@CurrentCaller() { orgId }: Caller): Promise<DecisionCheckAnswer> {
    const upTo = await this.store.head();
    await this.progress.whenProcessed(followers.decideRules, upTo, PATIENCE_MS);
    const end = await this.store.head();
    const check = new DecisionCheck(upTo);
    for (let after: bigint | undefined; ;) {
      const page = await this.store.readAll({ limit: PAGE, ...(after !== undefined && { after }) });
      for (const event of page.events) if (event.metadata.orgId === orgId) check.look(event);
      if (page.end || page.position >= end) break;
      after = page.position;
      await setImmediate();
    }
    return { ...check.result(), upTo: String(upTo) };
  }
}
