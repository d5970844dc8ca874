import { Controller, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiPropertyOptional, ApiResponse, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { missingFrom, Progress } from '#libs/event-store/src/subscriber.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { integrationNotFound } from '../integration/integration.js';
import { IntegrationTable } from '../integration/integration.table.js';
import { Reconciler, RECONCILIATIONS } from './reconcile.js';

const PATIENCE_MS = 60_000;

class MissingDelivery {
  @ApiProperty()
  deliveryId!: string;
  @ApiProperty({ example: 'push' })
  eventType!: string;
  @ApiProperty({
    description:
      'true: the sender accepted the request to send it again. false: it refused, or was not asked again yet.',
  })
  requested!: boolean;
  @ApiPropertyOptional({ description: 'The sender refused to send it again.' })
  refused?: boolean;
}

class ReconcileFailure {
  @ApiProperty({ example: 'unauthorised' })
  code!: string;
  @ApiProperty({ description: 'What to do.' })
  detail!: string;
  @ApiPropertyOptional({ description: 'Milliseconds to wait before the next try.' })
  retryAfterMs?: number;
}

export class ReconcileAnswer {
  @ApiProperty()
  integrationId!: string;
  @ApiProperty({ description: 'Deliveries listed by the sender.' })
  checked!: number;
  @ApiProperty({ type: [MissingDelivery], description: 'Missing deliveries.' })
  missing!: MissingDelivery[];
  @ApiPropertyOptional({
    description: 'More deliveries are missing; they are requested the next time, in ten minutes.',
  })
  more?: boolean;
  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Time of the oldest delivery that is missing and may still arrive: the next comparison starts there.',
  })
  openSince?: string;
  @ApiProperty({ format: 'date-time' })
  startedAt!: string;
  @ApiPropertyOptional({ type: ReconcileFailure, description: 'Why the comparison is incomplete.' })
  failure?: ReconcileFailure;
}

/** Asks a sender now, instead of at the next time that is due. */
@ApiTags('integrations')
@Controller('api/v1/integrations')
export class ReconcileController {
  constructor(
    @Inject(IntegrationTable) private readonly table: IntegrationTable,
    @Inject(Reconciler) private readonly reconciler: Reconciler,
    @Inject(Progress) private readonly progress: Progress,
  ) {}

  @Post(':id/reconcile')
  @Roles('integrator')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Find and request missing deliveries',
    description:
      "Compares the sender's deliveries of the last three days with the log and requests the missing ones again. Runs automatically every ten minutes.",
  })
  @ApiResponse({ status: 200, type: ReconcileAnswer })
  async reconcile(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<ReconcileAnswer> {
    if (!this.table.get(caller.orgId, id)) throw missingFrom(this.table, integrationNotFound(id));
    const look = { completeAt: null, byHand: true };
    const outcome = await this.reconciler.ask(id, look, AbortSignal.timeout(PATIENCE_MS));
    if (!outcome)
      throw new Rejected(
        'conflict',
        'integration.not_reconcilable',
        'Missing deliveries of this integration cannot be requested: it is disabled, its provider does not support it (GitHub does), its config lacks token, hookId or repository, or it has a dedupeKey.',
      );
    const position = await this.reconciler.recordNext(caller.orgId, caller.actor, outcome);
    await hasSeen(this.progress, RECONCILIATIONS, position);
    return outcome;
  }
}
