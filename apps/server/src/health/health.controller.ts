import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';

import { authenticate } from '#libs/access/src/token/authenticate.js';
import { Public } from '#libs/access/src/caller.controller.js';
import { TokenTable } from '#libs/access/src/token/token.table.js';
import { Clock } from '#libs/kernel/src/clock.js';

import { Health } from './health.adapter.js';
import { Metrics } from './metrics.js';
import type { SubscriberHealth } from './readiness.js';

class Alive {
  @ApiProperty({ example: 'alive' }) status!: string;
}

class ReadinessAnswer {
  @ApiProperty({ enum: ['ready', 'not_ready'] }) status!: string;
  @ApiProperty({ type: [String], description: 'Why the server is not ready. Details need a token.' })
  reasons!: readonly string[];
  @ApiProperty({ type: [String], required: false, description: 'What makes the server not ready if it persists.' })
  warnings?: readonly string[];
  @ApiProperty({
    type: [Object],
    required: false,
    description: 'With a token: `{ name, kind, active, state, lag, lagSeconds, parked, reason? }`',
  })
  subscribers?: readonly SubscriberHealth[];
  @ApiProperty({
    type: [String],
    required: false,
    description: 'With a token: runs at which processes died again and again, at most 100. Resume them by hand.',
  })
  blockedRuns?: readonly string[];
}

interface Asking {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Strangers learn whether the server works, and nothing about what is in it: no names, versions or errors. */
@ApiTags('operation')
@Public()
@Controller()
export class HealthController {
  constructor(
    @Inject(Health) private readonly health: Health,
    @Inject(Metrics) private readonly metrics: Metrics,
    @Inject(TokenTable) private readonly tokens: TokenTable,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  @Get('healthz')
  @ApiOperation({ summary: 'Check that the process is alive' })
  @ApiResponse({ status: 200, type: Alive })
  alive(): Alive {
    return { status: 'alive' };
  }

  @Get('readyz')
  @ApiOperation({ summary: 'Check that the server is ready; with a token, with every subscriber' })
  @ApiResponse({ status: 200, type: ReadinessAnswer })
  @ApiResponse({ status: 503, type: ReadinessAnswer, description: 'Not ready; `reasons` says why.' })
  async ready(@Req() request: Asking, @Res({ passthrough: true }) reply: FastifyReply): Promise<ReadinessAnswer> {
    const caller = this.callerOf(request);
    const { status, reasons, subscribers, publicReasons, warnings } = await this.health.readiness();
    if (status === 'not_ready') void reply.status(503).header('retry-after', '1');
    const more = warnings && { warnings };
    if (!caller) return { status, reasons: publicReasons, ...more };
    const blockedRuns = await this.health.blockedRuns(caller.orgId);
    return { status, reasons, ...more, ...(blockedRuns.length > 0 && { blockedRuns }), subscribers };
  }

  @Get('metrics')
  @ApiOperation({ summary: 'Metrics for Prometheus; without a token only whether the server is ready' })
  @ApiResponse({ status: 200, content: { 'text/plain': { schema: { type: 'string' } } } })
  async measurements(@Req() request: Asking, @Res() reply: FastifyReply): Promise<void> {
    const text = this.callerOf(request) ? await this.metrics.text() : await this.publicText();
    void reply.type(this.metrics.registry.contentType).send(text);
  }

  /** @throws Rejected for a token that is not valid: a caller that sends one needs the whole answer. */
  private callerOf({ headers }: Asking): { readonly orgId: string } | undefined {
    return headers['authorization'] === undefined ? undefined : authenticate(headers, this.tokens, this.clock.now());
  }

  private async publicText(): Promise<string> {
    const ready = (await this.health.readiness()).status === 'ready' ? 1 : 0;
    return `# HELP millrace_ready Whether the server is ready. Send an API token to get all metrics.\n# TYPE millrace_ready gauge\nmillrace_ready ${ready}\n`;
  }
}
