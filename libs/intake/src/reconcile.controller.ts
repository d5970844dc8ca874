import { Controller, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiPropertyOptional, ApiResponse, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { IntegrationTable } from './integration-table.js';
import { integrationNotFound } from './integration.js';
import { Reconciler } from './reconcile.js';

class MissingDelivery {
  @ApiProperty()
  deliveryId!: string;
  @ApiProperty({ example: 'push' })
  eventType!: string;
  @ApiProperty({ description: 'The sender took the request to send it again.' })
  requested!: boolean;
}

class ReconcileFailure {
  @ApiProperty({ example: 'unauthorised' })
  code!: string;
  @ApiProperty({ description: 'What to do.' })
  detail!: string;
  @ApiPropertyOptional({ description: 'Milliseconds to wait before asking again.' })
  retryAfterMs?: number;
}

export class ReconcileAnswer {
  @ApiProperty()
  integrationId!: string;
  @ApiProperty({ description: 'Deliveries that the sender named.' })
  checked!: number;
  @ApiProperty({ type: [MissingDelivery], description: 'What never arrived here.' })
  missing!: MissingDelivery[];
  @ApiProperty({ format: 'date-time' })
  startedAt!: string;
  @ApiPropertyOptional({ type: ReconcileFailure, description: 'Why it was not gone through to the end.' })
  failure?: ReconcileFailure;
}

/** Asks a sender now, instead of at the next time that is due. */
@ApiTags('integrations')
@Controller('api/v1/integrations')
export class ReconcileController {
  constructor(
    @Inject(IntegrationTable) private readonly table: IntegrationTable,
    @Inject(Reconciler) private readonly reconciler: Reconciler,
    @Inject(EventStore) private readonly store: EventStore,
  ) {}

  @Post(':id/reconcile')
  @Roles('integrator')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Find deliveries that never arrived',
    description:
      'Asks the sender what it has delivered in the last three days, holds that against the log, and asks for what is missing once more. Happens by itself every ten minutes.',
  })
  @ApiResponse({ status: 200, type: ReconcileAnswer })
  async reconcile(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<ReconcileAnswer> {
    if (!this.table.get(caller.orgId, id)) throw integrationNotFound(id);
    const outcome = await this.reconciler.ask(id, null, AbortSignal.timeout(60_000));
    if (!outcome)
      throw new Rejected(
        'conflict',
        'integration.not_reconcilable',
        'The sender of this integration cannot be asked: it is disabled, its provider cannot be asked at all (GitHub can), or its config lacks token, hookId or repository.',
      );
    const [last] = await this.store.readStream(streams.reconciled(id), { direction: 'backwards', limit: 1 });
    await this.reconciler.record(caller.orgId, last === undefined ? 0 : Number(last.revision) + 1, outcome);
    return outcome;
  }
}
