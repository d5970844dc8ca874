import { Controller, Get, Inject, Res } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';

import { Public } from '#libs/access/src/caller.controller.js';

import { Health } from './health.adapter.js';
import { Metrics } from './metrics.js';
import type { SubscriberHealth } from './readiness.js';

class Alive {
  @ApiProperty({ example: 'alive' }) status!: string;
}

class ReadinessAnswer {
  @ApiProperty({ enum: ['ready', 'not_ready'] }) status!: string;
  @ApiProperty({ type: [String], description: 'Why not, in words.' }) reasons!: readonly string[];
  @ApiProperty({ type: [Object], description: '`{ name, kind, active, state, lag, lagSeconds, parked, reason? }`' })
  subscribers!: readonly SubscriberHealth[];
}

@ApiTags('operation')
@Public()
@Controller()
export class HealthController {
  constructor(
    @Inject(Health) private readonly health: Health,
    @Inject(Metrics) private readonly metrics: Metrics,
  ) {}

  @Get('healthz')
  @ApiOperation({ summary: 'Whether the process is alive' })
  @ApiResponse({ status: 200, type: Alive })
  alive(): Alive {
    return { status: 'alive' };
  }

  @Get('readyz')
  @ApiOperation({ summary: 'Whether the server can do its work: log, database, every subscriber' })
  @ApiResponse({ status: 200, type: ReadinessAnswer })
  @ApiResponse({ status: 503, type: ReadinessAnswer, description: 'Not now; the reasons say why.' })
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<ReadinessAnswer> {
    const readiness = await this.health.readiness();
    if (readiness.status === 'not_ready') void reply.status(503).header('retry-after', '1');
    return readiness;
  }

  @Get('metrics')
  @ApiOperation({ summary: 'Measurements for Prometheus' })
  @ApiResponse({ status: 200, content: { 'text/plain': { schema: { type: 'string' } } } })
  async measurements(@Res() reply: FastifyReply): Promise<void> {
    const text = await this.metrics.registry.metrics();
    void reply.type(this.metrics.registry.contentType).send(text);
  }
}
