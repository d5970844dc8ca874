import { Controller, Get, Inject, Param, Query } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { type Static, Type } from '@sinclair/typebox';
import { DataSource } from 'typeorm';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { AnswersPage } from '#libs/access/src/shapes.controller.js';
import { nullable } from '#libs/events/src/shapes/fields.js';
import type { Page } from '#libs/kernel/src/paging.js';
import { readPage } from '#libs/persistence/src/paging.js';

import { integrationNotFound } from '../integration/integration.js';
import { IntegrationView } from '../integration/integration.view.js';
import { KEPT_BYTES } from './refused-requests.js';
import { KEPT_DAYS, KEPT_OF_EACH, RefusedStore } from './refused-store.adapter.js';
import { RefusedRequestView } from './refused.view.js';

const RefusedRequestAnswer = Type.Object(
  {
    at: Type.String({ format: 'date-time' }),
    status: Type.Integer({ description: 'HTTP status of the answer.' }),
    code: Type.String({ description: 'Code of the answer, such as `inbound.signature_mismatch`.' }),
    expected: Type.String({ description: 'What the sender was told to do.' }),
    cause: nullable(Type.String({ description: 'What the sender was not told.' })),
    method: Type.String(),
    headers: Type.Record(Type.String(), Type.String(), {
      description: 'A value that may be a secret is replaced by its length.',
    }),
    body: nullable(Type.String({ description: `The first ${KEPT_BYTES} bytes, as text where they are UTF-8.` })),
    bodyBase64: Type.Optional(Type.String({ description: 'In place of `body` where the bytes are not UTF-8.' })),
    bodyBytes: Type.Integer({ description: 'Size of the whole body.' }),
    requestId: Type.String({ description: 'As in the answer and in the log of the server.' }),
    leftOut: Type.Integer({ description: 'Requests before this one that were not kept: too many came at once.' }),
  },
  { $id: 'RefusedRequestAnswer' },
);
type RefusedRequestAnswer = Static<typeof RefusedRequestAnswer>;

@ApiTags('integrations')
@Controller('api/v1/integrations')
export class RefusedController {
  constructor(
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(RefusedStore) private readonly store: RefusedStore,
  ) {}

  @Get(':id/refused-requests')
  @Roles('integrator')
  @ApiOperation({
    summary: 'Requests that an integration refused',
    description: `Newest first: why each was refused, and what was sent. The newest ${KEPT_OF_EACH} are kept for ${KEPT_DAYS} days.`,
  })
  @ApiQuery({ name: 'limit', required: false })
  @ApiQuery({ name: 'cursor', required: false })
  @AnswersPage(RefusedRequestAnswer)
  async list(
    @CurrentCaller() { orgId }: Caller,
    @Param('id') integrationId: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<RefusedRequestAnswer>> {
    const isThere = await this.database.getRepository(IntegrationView).existsBy({ id: integrationId, orgId });
    if (!isThere) throw integrationNotFound(integrationId);
    // What was refused a moment ago is there too, if this process refused it.
    await this.store.flush();
    const query = this.database.getRepository(RefusedRequestView).createQueryBuilder('refused');
    query.where('refused.integrationId = :integrationId and refused.orgId = :orgId', { integrationId, orgId });
    const { rows, nextCursor } = await readPage(query, { limit, cursor }, { id: 'number' }, 'DESC');
    return { data: await Promise.all(rows.map((row) => this.shown(row))), nextCursor };
  }

  private async shown(row: RefusedRequestView): Promise<RefusedRequestAnswer> {
    const { at, status, code, expected, cause, method, headers, bodyBytes, requestId, leftOut } = row;
    const bytes = await this.store.bodyOf(row.body, at, row.integrationId);
    const text = bytes === undefined ? null : textOf(bytes);
    return {
      ...{ at: at.toISOString(), status, code, expected, cause, method, headers },
      body: text ?? null,
      ...(bytes !== undefined && text === undefined && { bodyBase64: bytes.toString('base64') }),
      ...{ bodyBytes, requestId, leftOut },
    };
  }
}

/** A character that the end of what is kept cuts in two is left out. */
function textOf(bytes: Buffer): string | undefined {
  for (const cut of bytes.length < KEPT_BYTES ? [0] : [0, 1, 2, 3])
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, bytes.length - cut));
    } catch {
      // Too little was cut off, or it is no text.
    }
  return undefined;
}
