import { pastKind } from '#libs/event-store/src/past-kind.js';
import { asShown } from '#libs/events/src/shapes/fields.js';
import { webhookSettings } from '#libs/events/src/shapes/webhook-shape.js';
import { SIGNATURE_HEADER } from '#libs/plugin-sdk/src/signature-headers.js';

import { webhook } from './webhook.js';

/** Outbound webhooks as they were configured, without secrets and counts. */
export const pastWebhooks = pastKind({
  name: 'outbound-webhooks',
  slice: webhook,
  show: (state) => {
    if (state.kind !== 'active' && state.kind !== 'disabled') return undefined;
    const { settings, previous, kind: status } = state;
    return {
      ...asShown(webhookSettings, settings),
      headers: Object.fromEntries((settings.headers?.names ?? []).map((name) => [name, '(hidden)'])),
      signatureHeader: settings.signatureHeader ?? SIGNATURE_HEADER,
      rateLimit: settings.rateLimit ?? null,
      status,
      disabledReason: state.kind === 'disabled' ? state.reason : null,
      disabledDetail: state.kind === 'disabled' ? (state.detail ?? null) : null,
      graceUntil: previous[0]?.validUntil ?? null,
    };
  },
});
