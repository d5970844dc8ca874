import { Column, Entity, PrimaryColumn } from 'typeorm';

import { asShown } from '#libs/events/src/shapes/fields.js';
import { type WebhookAnswer, type WebhookSettings, webhookSettings } from '#libs/events/src/shapes/webhook-shape.js';
import { SIGNATURE_HEADER } from '#libs/plugin-sdk/src/signature-headers.js';

import { PATIENCE_MS } from './health.js';
import type { Webhook } from './webhook.js';

/** An outbound webhook as it is configured now. Deleted ones have no row. */
@Entity({ schema: 'views', name: 'webhooks' })
export class WebhookView {
  @PrimaryColumn('text')
  id!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('json')
  settings!: WebhookSettings;
  @Column('text')
  status!: 'active' | 'disabled';
  @Column('text', { name: 'disabled_reason', nullable: true })
  disabledReason!: 'manual' | 'gone' | 'failing' | null;
  @Column('text', { name: 'disabled_detail', nullable: true })
  disabledDetail!: string | null;
  @Column('jsonb')
  secrets!: string[];
  /** Until when deliveries carry the signature of an earlier secret too. */
  @Column('timestamptz', { name: 'grace_until', nullable: true })
  graceUntil!: Date | null;
  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
  @Column('timestamptz', { name: 'updated_at' })
  updatedAt!: Date;
}

/** How a webhook has been doing; no row until its first attempt. */
@Entity({ schema: 'views', name: 'webhook_health' })
export class WebhookHealthView {
  @PrimaryColumn('text', { name: 'webhook_id' })
  webhookId!: string;
  @Column('bigint', { name: 'send_count' })
  sendCount!: string;
  @Column('bigint', { name: 'failure_count' })
  failureCount!: string;
  @Column('timestamptz', { name: 'last_sent_at', nullable: true })
  lastSentAt!: Date | null;
  @Column('integer', { name: 'consecutive_failures' })
  consecutiveFailures!: number;
  @Column('timestamptz', { name: 'failing_since', nullable: true })
  failingSince!: Date | null;
  @Column('timestamptz', { name: 'last_success_at', nullable: true })
  lastSuccessAt!: Date | null;
  @Column('timestamptz', { name: 'last_failure_at', nullable: true })
  lastFailureAt!: Date | null;
  @Column('text', { name: 'last_failure', nullable: true })
  lastFailure!: string | null;
}

/** What a webhook is shown by. */
type Shown = Omit<WebhookView, 'orgId' | 'secrets'>;

/** As the row will be, once it is written. */
export function rowOf(id: string, state: Webhook, createdAt: Date, updatedAt: Date): Shown | undefined {
  if (state.kind !== 'active' && state.kind !== 'disabled') return undefined;
  const graceUntil = state.previous[0]?.validUntil;
  return {
    id,
    settings: state.settings,
    status: state.kind,
    disabledReason: state.kind === 'disabled' ? state.reason : null,
    disabledDetail: state.kind === 'disabled' ? (state.detail ?? null) : null,
    graceUntil: graceUntil === undefined ? null : new Date(graceUntil),
    createdAt,
    updatedAt,
  };
}

function healthOf(status: Shown['status'], health: WebhookHealthView | undefined): WebhookAnswer['health'] {
  const { lastSuccessAt = null, lastFailureAt = null, lastFailure = null, failingSince = null } = health ?? {};
  return {
    state: stateOf(status, health),
    lastSuccessAt: lastSuccessAt?.toISOString() ?? null,
    lastFailureAt: lastFailureAt?.toISOString() ?? null,
    lastFailure,
    disabledFrom:
      status === 'active' && failingSince ? new Date(failingSince.getTime() + PATIENCE_MS).toISOString() : null,
  };
}

function stateOf(status: Shown['status'], health: WebhookHealthView | undefined): WebhookAnswer['health']['state'] {
  if (status === 'disabled') return 'disabled';
  if (!health) return 'unknown';
  return health.consecutiveFailures > 0 ? 'failing' : 'healthy';
}

/** A webhook as it is shown. */
export const answerOf = (
  { id, settings, status, disabledReason, disabledDetail, graceUntil, createdAt, updatedAt }: Shown,
  health: WebhookHealthView | undefined,
): WebhookAnswer => ({
  id,
  ...asShown(webhookSettings, settings),
  headers: Object.fromEntries((settings.headers?.names ?? []).map((name) => [name, '(hidden)'])),
  signatureHeader: settings.signatureHeader ?? SIGNATURE_HEADER,
  rateLimit: settings.rateLimit ?? null,
  status,
  disabled: status === 'disabled',
  disabledReason,
  disabledDetail,
  sendCount: Number(health?.sendCount ?? 0),
  failureCount: Number(health?.failureCount ?? 0),
  lastSentAt: health?.lastSentAt?.toISOString() ?? null,
  consecutiveFailures: health?.consecutiveFailures ?? 0,
  failingSince: health?.failingSince?.toISOString() ?? null,
  health: healthOf(status, health),
  graceUntil: graceUntil?.toISOString() ?? null,
  createdAt: createdAt.toISOString(),
  updatedAt: updatedAt.toISOString(),
});
