import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import {
  ArrayMaxSize,
  ArrayNotEmpty,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsObject,
  IsOptional,
  IsString,
  Max,
  Min,
  ValidateIf,
} from 'class-validator';

import { IsTime } from '#libs/access/src/time.body.js';

import { FORMATS, type Format } from './format.js';
import { SIGNATURE_HEADER } from './signing.js';
import type { WebhookHealthView, WebhookView } from './webhook.view.js';

const MAX_TIMEOUT_MS = 120_000;
const MAX_GRACE_SECONDS = 7 * 24 * 60 * 60;

/** What may be changed later on. The shapes are checked here, the meaning by `checkWebhook`. */
export class WebhookChanges {
  @ApiPropertyOptional({ description: 'Where events go: https, and a public address unless allowed.' })
  @ValidateIf((body: WebhookChanges) => body.url !== undefined)
  @IsString()
  url?: string;

  @ApiPropertyOptional({
    isArray: true,
    type: String,
    example: ['issue.created', 'pr.*'],
    description: 'Types, globs, or `*` for all but system types and `webhook.*`.',
  })
  @ValidateIf((body: WebhookChanges) => body.events !== undefined)
  @IsArray()
  @ArrayNotEmpty()
  @ArrayMaxSize(100)
  @ArrayUnique()
  @IsString({ each: true })
  events?: string[];

  @ApiPropertyOptional({ description: 'Signs every delivery. Without it one is made, and shown in the answer.' })
  @IsOptional()
  @IsString()
  secret?: string | null;

  @ApiPropertyOptional({ enum: FORMATS, default: 'platform' })
  @ValidateIf((body: WebhookChanges) => body.format !== undefined)
  @IsIn(FORMATS, { message: `format must be one of ${FORMATS.join(', ')}` })
  format?: Format;

  @ApiPropertyOptional({ type: String, nullable: true, description: 'JMESPath over the event.' })
  @IsOptional()
  @IsString()
  filter?: string | null;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'string' },
    nullable: true,
    description: "Headers of the receiver's own. Their values are kept like secrets and not shown again.",
  })
  @IsOptional()
  @IsObject()
  headers?: Record<string, unknown> | null;

  @ApiPropertyOptional({
    type: String,
    nullable: true,
    example: 'X-GitProductivity-Signature',
    description: 'Replaces X-Millrace-Signature.',
  })
  @IsOptional()
  @IsString()
  signatureHeader?: string | null;

  @ApiPropertyOptional({ description: 'Not available yet: refused with a reason.' })
  @IsOptional()
  rateLimit?: unknown;

  @ApiPropertyOptional({ default: 30_000, minimum: 1, maximum: MAX_TIMEOUT_MS })
  @ValidateIf((body: WebhookChanges) => body.timeoutMs !== undefined)
  @IsInt()
  @Min(1)
  @Max(MAX_TIMEOUT_MS)
  timeoutMs?: number;

  @ApiPropertyOptional({ default: false })
  @ValidateIf((body: WebhookChanges) => body.disabled !== undefined)
  @IsBoolean()
  disabled?: boolean;
}

export class NewWebhook extends WebhookChanges {
  @ApiProperty({ example: 'https://example.com/hook' })
  @IsString()
  declare url: string;

  @ApiProperty({ isArray: true, type: String, example: ['issue.created', 'pr.*'] })
  @IsArray()
  declare events: string[];
}

export class ChangedWebhook extends WebhookChanges {
  @ApiPropertyOptional({ description: 'Make a new secret; it is in the answer.' })
  @IsOptional()
  @IsBoolean()
  rotateSecret?: boolean;

  @ApiPropertyOptional({
    default: 86_400,
    maximum: MAX_GRACE_SECONDS,
    description: 'For how long deliveries carry the signature of the secret before as well.',
  })
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(MAX_GRACE_SECONDS)
  graceSeconds?: number;
}

export class Recovery {
  @ApiProperty({ format: 'date-time', description: 'Everything that failed since then is delivered again.' })
  @IsTime()
  since!: string;
}

export class WebhookAnswer {
  @ApiProperty({ example: 'whk_01jq5x1d0wkz4s3v2n8m7b6c5a' })
  id!: string;
  @ApiProperty()
  url!: string;
  @ApiProperty({ isArray: true, type: String })
  events!: readonly string[];
  @ApiProperty({ enum: FORMATS })
  format!: Format;
  @ApiProperty({ type: String, nullable: true })
  filter!: string | null;
  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' }, description: 'Values are hidden.' })
  headers!: Record<string, string>;
  @ApiProperty()
  signatureHeader!: string;
  @ApiProperty()
  timeoutMs!: number;
  @ApiProperty({ enum: ['active', 'disabled'] })
  status!: string;
  @ApiProperty()
  disabled!: boolean;
  @ApiProperty({ enum: ['manual', 'gone', 'failing'], type: String, nullable: true })
  disabledReason!: string | null;
  @ApiProperty({ type: String, nullable: true })
  disabledDetail!: string | null;
  @ApiProperty({ description: 'HTTP calls made, tests not counted.' })
  sendCount!: number;
  @ApiProperty({ description: 'Attempts that failed.' })
  failureCount!: number;
  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  lastSentAt!: string | null;
  @ApiProperty()
  consecutiveFailures!: number;
  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  failingSince!: string | null;
  @ApiProperty({ type: String, format: 'date-time', nullable: true, description: 'End of the grace of a rotation.' })
  graceUntil!: string | null;
  @ApiProperty({ format: 'date-time' })
  createdAt!: string;
  @ApiProperty({ format: 'date-time' })
  updatedAt!: string;
}

export class TestDelivery {
  @ApiProperty({ example: 'del_01jq5x1d0wkz4s3v2n8m7b6c5a', type: String, nullable: true })
  deliveryId!: string | null;
  @ApiProperty({ enum: ['success', 'failed', 'pending', 'skipped'] })
  status!: 'success' | 'failed' | 'pending' | 'skipped';
  @ApiProperty({ type: Number, nullable: true })
  responseCode!: number | null;
  @ApiProperty({ type: Number, nullable: true })
  latencyMs!: number | null;
  @ApiProperty({ type: String, nullable: true })
  failureClass!: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'What went wrong, in words.' })
  detail!: string | null;
}

export class SavedWebhook extends WebhookAnswer {
  @ApiProperty({ type: [Object], description: 'What is allowed and probably not meant.' })
  warnings!: readonly object[];
  @ApiPropertyOptional({ description: 'Where a new one was set: shown in this answer and never again.' })
  secret?: string;
}

export class CreatedWebhook extends SavedWebhook {
  @ApiProperty({ type: TestDelivery, description: 'How the receiver answered. A failure changes nothing else.' })
  testDelivery!: TestDelivery;
}

export class WebhookPage {
  @ApiProperty({ type: [WebhookAnswer] })
  data!: readonly WebhookAnswer[];
  @ApiProperty({ type: String, nullable: true })
  nextCursor!: string | null;
}

/** What stands for the test of a webhook that is set up without being switched on. */
export const SKIPPED: TestDelivery = {
  deliveryId: null,
  status: 'skipped',
  responseCode: null,
  latencyMs: null,
  failureClass: null,
  detail: 'The webhook is disabled. POST …/test tries it all the same.',
};

/** A webhook as it is shown. */
export const answerOf = (row: WebhookView, health: WebhookHealthView | undefined): WebhookAnswer => ({
  id: row.id,
  url: row.url,
  events: row.events,
  format: row.format,
  filter: row.filter,
  headers: Object.fromEntries(row.headerNames.map((name) => [name, '(hidden)'])),
  signatureHeader: row.signatureHeader ?? SIGNATURE_HEADER,
  timeoutMs: row.timeoutMs,
  status: row.status,
  disabled: row.status === 'disabled',
  disabledReason: row.disabledReason,
  disabledDetail: row.disabledDetail,
  sendCount: Number(health?.sendCount ?? 0),
  failureCount: Number(health?.failureCount ?? 0),
  lastSentAt: health?.lastSentAt?.toISOString() ?? null,
  consecutiveFailures: health?.consecutiveFailures ?? 0,
  failingSince: health?.failingSince?.toISOString() ?? null,
  graceUntil: row.graceUntil?.toISOString() ?? null,
  createdAt: row.createdAt.toISOString(),
  updatedAt: row.updatedAt.toISOString(),
});
