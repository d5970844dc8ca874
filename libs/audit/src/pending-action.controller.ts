import { Controller, Get, Inject, Query } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Paged } from '#libs/access/src/shapes.controller.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { Rejected, Transient } from '#libs/kernel/src/errors.js';
import { type Page, pageOf, pagingOf } from '#libs/kernel/src/paging.js';

import { PENDING_TYPES, type PendingType } from './pending-action.js';

/** A list may be this old, where the projection is behind. */
const PATIENCE_MS = 2_000;

export class PendingActionAnswer {
  @ApiProperty({ description: '`exec_…` of an execution; of all else, `evt_…` of the request.' })
  id!: string;
  @ApiProperty({ enum: PENDING_TYPES })
  type!: PendingType;
  @ApiProperty({ enum: ['pending'] })
  status!: 'pending';
  @ApiProperty({ type: Object, example: { kind: 'rule', ruleId: 'rul_01jq5x1d0wkz4s3v2n8m7b6c5a' } })
  requestedBy!: object;
  @ApiProperty({ description: 'Event that caused it.' })
  eventId!: string;
  @ApiProperty({
    type: Object,
    description:
      '`{ agent }`, `{ integration, channel, text }`, or `{ action }` and, after a failure that is retried, `{ attempts, error, nextAttemptAt }`.',
  })
  details!: object;
  @ApiProperty({ format: 'date-time' })
  requestedAt!: string;
}

export class PendingActionPage {
  @ApiProperty({ type: [PendingActionAnswer] })
  data!: readonly PendingActionAnswer[];
  @ApiProperty({ type: String, nullable: true })
  nextCursor!: string | null;
}

interface Row extends Omit<PendingActionAnswer, 'status' | 'requestedAt'> {
  readonly requestedAt: Date;
}

/** What was asked for and waits. */
@ApiTags('actions')
@Controller('api/v1/actions')
export class PendingActionController {
  constructor(
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Progress) private readonly progress: Progress,
  ) {}

  @Get()
  @ApiOperation({
    summary: 'List pending actions',
    description:
      'Newest first. Executions are pending until they start, messages until they are sent, and actions of plug-ins until a server that has the plug-in carries them out. Outcomes are events.',
  })
  @ApiQuery({ name: 'status', required: false, enum: ['pending'] })
  @ApiQuery({ name: 'type', required: false, enum: PENDING_TYPES })
  @Paged()
  @ApiResponse({ status: 200, type: PendingActionPage })
  async list(
    @CurrentCaller() { orgId }: Caller,
    @Query('status') status?: string,
    @Query('type') type?: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<PendingActionAnswer>> {
    const paging = pagingOf(limit, cursor, ['time', 'text']);
    oneOf('status', status, ['pending']);
    oneOf('type', type, PENDING_TYPES);
    if (!paging.after) await this.settle();
    const [at = null, id = null] = paging.after ?? [];
    const rows = await this.database.query<Row[]>(
      `select id, type, requested_by as "requestedBy", event_id as "eventId", details, requested_at as "requestedAt"
         from views.pending_actions
        where org_id = $1 and ($2::text is null or type = $2)
          and ($3::timestamptz is null or (requested_at, id) < ($3, $4::text))
        order by requested_at desc, id desc limit $5`,
      [orgId, type ?? null, at, id, paging.limit + 1],
    );
    return pageOf(rows, paging, ({ requestedAt, id: last }) => [requestedAt.toISOString(), last], answerOf);
  }

  /** So that a caller that has just seen an event sees what it led to, as far as it is known. */
  private async settle(): Promise<void> {
    try {
      await this.progress.whenProcessed(followers.pendingActions, await this.store.head(), PATIENCE_MS);
    } catch (error) {
      if (!(error instanceof Transient)) throw error;
    }
  }
}

function oneOf(name: string, value: string | undefined, allowed: readonly string[]): void {
  if (value === undefined || allowed.includes(value)) return;
  const detail = `"${name}" must be ${[allowed.slice(0, -1).join(', '), ...allowed.slice(-1)].filter(Boolean).join(' or ')}.`;
  throw new Rejected('invalid', 'action.bad_filter', detail);
}

const answerOf = ({ id, type, requestedBy, eventId, details, requestedAt }: Row): PendingActionAnswer => ({
  id,
  type,
  status: 'pending',
  requestedBy,
  eventId,
  details,
  requestedAt: requestedAt.toISOString(),
});
