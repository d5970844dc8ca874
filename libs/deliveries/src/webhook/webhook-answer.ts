import { asShown } from '#libs/events/src/shapes/fields.js';
import { type TestDelivery, type WebhookAnswer, webhookSettings } from '#libs/events/src/shapes/webhook-shape.js';

import { SIGNATURE_HEADER } from './signing.js';
import type { WebhookHealthView, WebhookView } from './webhook.view.js';

/** Stands for the test of a webhook that is created without being switched on. */
export const SKIPPED: TestDelivery = {
  deliveryId: null,
  status: 'skipped',
  responseCode: null,
  latencyMs: null,
  failureClass: null,
  detail: 'The webhook is disabled. POST …/test tries it all the same.',
};

/** A webhook as it is shown. */
export const answerOf = (
  { id, settings, status, disabledReason, disabledDetail, graceUntil, createdAt, updatedAt }: WebhookView,
  health: WebhookHealthView | undefined,
): WebhookAnswer => ({
  id,
  ...asShown(webhookSettings, settings),
  headers: Object.fromEntries((settings.headers?.names ?? []).map((name) => [name, '(hidden)'])),
  signatureHeader: settings.signatureHeader ?? SIGNATURE_HEADER,
  status,
  disabled: status === 'disabled',
  disabledReason,
  disabledDetail,
  sendCount: Number(health?.sendCount ?? 0),
  failureCount: Number(health?.failureCount ?? 0),
  lastSentAt: health?.lastSentAt?.toISOString() ?? null,
  consecutiveFailures: health?.consecutiveFailures ?? 0,
  failingSince: health?.failingSince?.toISOString() ?? null,
  graceUntil: graceUntil?.toISOString() ?? null,
  createdAt: createdAt.toISOString(),
  updatedAt: updatedAt.toISOString(),
});
