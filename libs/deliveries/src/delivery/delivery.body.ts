import { ApiProperty } from '@nestjs/swagger';

import { Rejected } from '#libs/kernel/src/errors.js';
import { isStorable } from '#libs/kernel/src/text/text.js';
import { parseTime } from '#libs/kernel/src/time/times.js';

import type { Attempt } from './attempt-history.js';
import { messageIdOf } from './delivery.js';
import type { DeliveryView } from './delivery.view.js';

export const STATUSES = ['pending', 'success', 'failed'];

/** What every list of deliveries may be narrowed to. */
export interface Filters {
  readonly status?: string;
  readonly type?: string;
  readonly eventId?: string;
  readonly from?: string;
  readonly to?: string;
  readonly limit?: string;
  readonly cursor?: string;
}

export class DeliveryBase {
  @ApiProperty({ example: 'del_01jq5x1d0wkz4s3v2n8m7b6c5a' })
  id!: string;
  @ApiProperty({ type: String, nullable: true })
  webhookId!: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'Where an action named a bare URL.' })
  url!: string | null;
  @ApiProperty({ enum: ['subscription', 'action', 'redelivery', 'test'] })
  kind!: string;
  @ApiProperty({ description: '`webhook-id` of its requests: the same for every attempt and redelivery.' })
  messageId!: string;
  @ApiProperty()
  eventId!: string;
  @ApiProperty()
  eventType!: string;
  @ApiProperty({ enum: STATUSES })
  status!: string;
  @ApiProperty({ type: Number, nullable: true })
  responseCode!: number | null;
  @ApiProperty({ type: Number, nullable: true })
  latencyMs!: number | null;
  @ApiProperty({ type: String, nullable: true })
  failureClass!: string | null;
  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  nextAttemptAt!: string | null;
  @ApiProperty({
    enum: ['rate_limit'],
    nullable: true,
    description: 'The rate limit of the webhook: nextAttemptAt is when the delivery is expected to have its turn.',
  })
  waitsFor!: 'rate_limit' | null;
  @ApiProperty({ type: String, nullable: true })
  redeliveryOf!: string | null;
  @ApiProperty({ format: 'date-time' })
  createdAt!: string;
  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  finishedAt!: string | null;
}

export class DeliveryAnswer extends DeliveryBase {
  @ApiProperty({ description: 'How many were made.' })
  attempts!: number;
}

export class DeliveryDetail extends DeliveryBase {
  @ApiProperty({ description: 'How many were made.' })
  attemptCount!: number;
  @ApiProperty({ type: [Object], description: 'Each with request, response, latency and failure class.' })
  attempts!: readonly Attempt[];
}

export class DeliveryPage {
  @ApiProperty({ type: [DeliveryAnswer] })
  data!: readonly DeliveryAnswer[];
  @ApiProperty({ type: String, nullable: true })
  nextCursor!: string | null;
}

/** A parameter that is given twice, or holds what no column can, is a mistake and not a fault of ours. */
export function plain(filters: Filters): Filters {
  for (const [name, value] of Object.entries(filters) as [string, unknown][])
    if (value !== undefined && (typeof value !== 'string' || !isStorable(value)))
      throw new Rejected('invalid', 'list.bad_filter', `"${name}" must be given once, as plain text.`);
  return filters;
}

/** @throws Rejected `list.bad_time` */
export function timeOf(name: string, text: string): Date {
  const time = parseTime(text);
  if (time) return time;
  throw new Rejected('invalid', 'list.bad_time', `"${name}" must be a time such as 2026-11-20T13:00:00Z.`);
}

/** @param expected when it will have its turn, if it waits for the rate of its webhook. */
export const baseOf = (row: DeliveryView, expected?: Date): DeliveryBase => ({
  id: row.id,
  webhookId: row.webhookId,
  url: row.url,
  kind: row.kind,
  messageId: messageIdOf(row.rootId),
  eventId: row.eventId,
  eventType: row.eventType,
  status: row.status,
  responseCode: row.responseCode,
  latencyMs: row.latencyMs,
  failureClass: row.failureClass,
  nextAttemptAt: (expected ?? row.nextAttemptAt)?.toISOString() ?? null,
  waitsFor: expected ? 'rate_limit' : null,
  redeliveryOf: row.redeliveryOf,
  createdAt: row.createdAt.toISOString(),
  finishedAt: row.finishedAt?.toISOString() ?? null,
});

export const answerOf = (row: DeliveryView, expected?: Date): DeliveryAnswer => ({
  ...baseOf(row, expected),
  attempts: row.attempts,
});

/** As the row of a redelivery begins, which a worker is still to write. */
export const redeliveryOf = (row: DeliveryView, id: string, createdAt: Date): DeliveryView => ({
  ...row,
  id,
  kind: 'redelivery',
  status: 'pending',
  attempts: 0,
  responseCode: null,
  latencyMs: null,
  failureClass: null,
  retryAfter: null,
  lastAttemptAt: null,
  nextAttemptAt: null,
  redeliveryOf: row.id,
  createdAt,
  finishedAt: null,
});
