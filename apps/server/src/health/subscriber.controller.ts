import { Controller, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiResponse, ApiTags } from '@nestjs/swagger';

import { Roles } from '#libs/access/src/caller.controller.js';
import { Runner } from '#libs/event-store/src/runner/runner.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { healthOf, type SubscriberHealth } from './readiness.js';

class ParkedAnswer {
  @ApiProperty({ description: 'Position of the event in the log.' }) position!: string;
  @ApiProperty() eventId!: string;
  @ApiProperty() type!: string;
  @ApiProperty({ description: 'Why the subscriber parked it.' }) reason!: string;
  @ApiProperty() tries!: number;
}

class SubscriberPage {
  @ApiProperty({ type: [Object], description: '`{ name, kind, active, state, lag, lagSeconds, parked, reason? }`' })
  data!: readonly SubscriberHealth[];
  @ApiProperty({ type: String, nullable: true }) nextCursor!: null;
}

class ParkedPage {
  @ApiProperty({ type: [ParkedAnswer] }) data!: readonly ParkedAnswer[];
  @ApiProperty({ type: String, nullable: true }) nextCursor!: null;
}

class RetryAnswer {
  @ApiProperty({ example: 'requested' }) status!: string;
}

@ApiTags('operation')
@Controller('api/v1/subscribers')
export class SubscriberController {
  constructor(@Inject(Runner) private readonly runner: Runner) {}

  @Get()
  @ApiOperation({ summary: 'List subscribers and tables with their lag' })
  @ApiResponse({ status: 200, type: SubscriberPage })
  async list(): Promise<SubscriberPage> {
    return { data: (await this.runner.status()).map(healthOf), nextCursor: null };
  }

  @Get(':name/parked')
  @Roles('admin')
  @ApiOperation({ summary: 'List the parked events of a subscriber' })
  @ApiResponse({ status: 200, type: ParkedPage })
  async parked(@Param('name') name: string): Promise<ParkedPage> {
    const parked = await this.runner.parked(name);
    if (parked.length === 0) await this.mustExist(name);
    return {
      data: parked.map(({ position, eventId, type, reason, tries }) => ({
        position: String(position),
        eventId: eventIdOf(eventId),
        type,
        reason,
        tries,
      })),
      nextCursor: null,
    };
  }

  /** @throws Rejected `subscriber.not_found` */
  private async mustExist(name: string): Promise<void> {
    if ((await this.runner.status()).some((one) => one.name === name)) return;
    throw new Rejected(
      'not_found',
      'subscriber.not_found',
      `There is no subscriber ${name}. GET /api/v1/subscribers lists the existing ones.`,
    );
  }

  @Post(':name/parked/:position/retry')
  @HttpCode(202)
  @Roles('admin')
  @ApiOperation({ summary: 'Retry a parked event' })
  @ApiResponse({ status: 202, type: RetryAnswer })
  async retry(@Param('name') name: string, @Param('position') position: string): Promise<RetryAnswer> {
    if (!/^\d{1,18}$/.test(position))
      throw new Rejected(
        'invalid',
        'subscriber.bad_position',
        `${position} is not a position. Use a whole number from the list of parked events.`,
      );
    await this.runner.retryParked(name, BigInt(position));
    return { status: 'requested' };
  }
}
