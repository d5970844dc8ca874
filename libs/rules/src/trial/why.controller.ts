import { Controller, Get, Inject, Param } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiResponse, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { DecisionSources, type NearTrigger } from '#libs/event-index/src/decision-sources.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { Transient } from '#libs/kernel/src/errors.js';

import { rulesAsked } from '../decisions/verdict-rows.adapter.js';
import { type NearRule, nearestRules, type RuleFilter } from './nearest-rules.js';

export class WhyAnswer {
  @ApiProperty({ example: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a' }) eventId!: string;
  @ApiProperty({ example: 'git.push' }) type!: string;
  @ApiProperty({ example: 'github' }) source!: string;
  @ApiProperty({ description: 'False until rules and triggers have been evaluated for the event.' }) decided!: boolean;
  @ApiProperty({
    description:
      'Number of decisions of rules; `GET /api/v1/events/{id}/decisions` lists them, and those of workflows.',
  })
  decisions!: number;
  @ApiProperty({ description: 'Number of rules, without archived ones.' }) rules!: number;
  @ApiProperty({
    type: [Object],
    description:
      'The closest rules without a decision, with the reason: `source`, `type`, `both`, `disabled`, `created_later` or `changed_later`.',
  })
  nearest!: readonly NearRule[];
  @ApiProperty({
    type: [Object],
    description:
      'The closest triggers of workflows without a decision: `{ workflowId, workflow, trigger, reason, event, source }`, with the reason `source`, `type`, `both` or `changed_later`.',
  })
  nearestTriggers!: readonly NearTrigger[];
}

const NEAREST = 10;
/** Most rules that are compared. */
const MAX_RULES = 20_000;
const PATIENCE_MS = 2_000;

/** Why no rule or trigger looked at an event: the other half of its decisions. */
@ApiTags('rules')
@Controller('api/v1/events')
export class WhyController {
  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(EventReader) private readonly events: EventReader,
    @Inject(DecisionSources) private readonly sources: DecisionSources,
  ) {}

  @Get(':id/why')
  @ApiOperation({
    summary: 'Explain why rules and workflows did not act on an event',
    description: 'The closest rules, and the closest triggers of workflows, that have no decision on it.',
  })
  @ApiResponse({ status: 200, type: WhyAnswer })
  async why(@CurrentCaller() { orgId }: Caller, @Param('id') id: string): Promise<WhyAnswer> {
    const event = await this.events.get(orgId, id);
    const decided = await this.isDecided(event.position);
    const asked = await rulesAsked(this.database, orgId, eventIdOf(event.id));
    const rules = await this.filters(orgId);
    const { type, metadata } = event;
    const others = rules.filter((rule) => !asked.has(rule.id));
    const seen = { type, source: metadata.source, recordedAt: event.created };
    return {
      eventId: eventIdOf(event.id),
      type,
      source: metadata.source,
      decided,
      decisions: asked.size,
      rules: rules.length,
      nearest: nearestRules(seen, others, NEAREST),
      nearestTriggers: await this.sources.nearestTriggers(orgId, eventIdOf(event.id), seen, NEAREST),
    };
  }

  /** Waits a moment for an event that has only just come. */
  private async isDecided(position: bigint): Promise<boolean> {
    try {
      const { decideRules, startRuns, decisionViews, runViews, triggerDecisions } = followers;
      await this.processed([decideRules, startRuns], position);
      // Runs and decisions are recorded after the event.
      await this.processed([decisionViews, runViews, triggerDecisions], await this.store.head());
      return true;
    } catch (error) {
      if (!(error instanceof Transient)) throw error;
      return false;
    }
  }

  private async processed(names: readonly string[], position: bigint): Promise<void> {
    await Promise.all(names.map((name) => this.progress.whenProcessed(name, position, PATIENCE_MS)));
  }

  private async filters(orgId: string): Promise<readonly RuleFilter[]> {
    const rows = await this.database.query<
      {
        id: string;
        name: string;
        status: 'enabled' | 'disabled';
        source: string;
        type: string;
        created_at: Date;
      }[]
    >(
      `select id, name, status, definition->>'eventSource' as source, definition->>'eventType' as type, created_at
       from views.rules where org_id = $1 and status <> 'archived' order by id desc limit ${MAX_RULES}`,
      [orgId],
    );
    return rows.map((row) => ({
      id: row.id,
      name: row.name,
      status: row.status,
      eventSource: row.source,
      eventType: row.type,
      createdAt: row.created_at,
    }));
  }
}
