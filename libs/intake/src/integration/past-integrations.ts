import { secretReferenceIn } from '#libs/access/src/secrets/config-secrets.js';
import { pastKind } from '#libs/event-store/src/past-kind.js';
import { integrationSettings } from '#libs/events/src/shapes/integration-shape.js';
import { asShown } from '#libs/events/src/shapes/fields.js';
import { MASK } from '#libs/kernel/src/text/masking.js';
import { formatDuration } from '#libs/kernel/src/time/durations.js';

import { exists, integration } from './integration.js';

/** Integrations as they were, without secrets and counts. */
export const pastIntegrations = pastKind({
  name: 'integrations',
  slice: integration,
  show: (state) => {
    if (!exists(state)) return undefined;
    const { provider, preset = null, slug, workflowId = null, settings, secret, previous, kind } = state;
    const { rateLimit, config } = settings;
    return {
      ...asShown(integrationSettings, settings),
      provider,
      preset,
      slug,
      workflowId,
      enabled: kind === 'active',
      hasSecret: secret !== undefined,
      previousSecrets: previous.map(({ validUntil }) => ({ validUntil })),
      rateLimit: rateLimit ? { limit: rateLimit.limit, per: formatDuration(rateLimit.perMs) } : null,
      config: Object.fromEntries(
        Object.entries(config).map(([key, value]) => [key, secretReferenceIn(value) === undefined ? value : MASK]),
      ),
    };
  },
});
