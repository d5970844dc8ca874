import { inGrace } from '#libs/access/src/secret-rotation.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { asShown } from '#libs/events/src/shapes/fields.js';
import { type IntegrationAnswer, integrationSettings } from '#libs/events/src/shapes/integration-shape.js';
import { formatDuration } from '#libs/kernel/src/time/durations.js';

import { secretReferenceIn } from './integration.js';
import type { IntegrationCounterView, IntegrationView } from './integration.view.js';
import { MASK } from './settings-check.js';

/** What has come in through an integration. */
export interface Activity {
  readonly counters: readonly IntegrationCounterView[];
  /** Since when it has been silent for longer than it expects. */
  readonly silentAt: Date | undefined;
  readonly reconciled: DataOf<'integration.reconciled'> | undefined;
}

/** An integration as REST shows it, without any secret. */
export function integrationAnswer(
  { id, state, createdAt, updatedAt }: IntegrationView,
  { counters, silentAt, reconciled }: Activity,
  publicUrl: string,
  now: Date,
  isCommunicator: boolean,
): IntegrationAnswer {
  const { slug, settings } = state;
  const { customPath, rateLimit, config } = settings;
  const inbound = `${publicUrl}/api/v1/webhooks/inbound/${slug}`;
  const count = (name: string): number => Number(counters.find(({ counter }) => counter === name)?.count ?? 0);
  const arrivals = counters.filter(({ counter }) => counter === 'received' || counter === 'duplicates');
  const last = Math.max(...arrivals.map(({ lastAt }) => lastAt.getTime()));
  return {
    id,
    ...asShown(integrationSettings, settings),
    provider: state.provider,
    enabled: state.kind === 'active',
    slug,
    url: inbound,
    urls: {
      inbound,
      direct: `${publicUrl}/webhooks/${id}`,
      ...(customPath !== undefined && { custom: `${publicUrl}/api/webhook/${customPath}` }),
      ...communicatorUrls(id, state.provider, isCommunicator, publicUrl),
    },
    hasSecret: state.secret !== undefined,
    previousSecrets: inGrace(state.previous, now).map(({ validUntil }) => ({ validUntil })),
    rateLimit: rateLimit ? { limit: rateLimit.limit, per: formatDuration(rateLimit.perMs) } : null,
    silentSince: silentAt?.toISOString() ?? null,
    lastReconciliation: reconciled ?? null,
    config: Object.fromEntries(
      Object.entries(config).map(([key, value]) => [key, secretReferenceIn(value) === undefined ? value : MASK]),
    ),
    counts: {
      received: count('received'),
      duplicates: count('duplicates'),
      retries: count('retries'),
      refused: Object.fromEntries(
        counters
          .filter(({ counter }) => counter.startsWith('refused.'))
          .map((row) => [row.counter.slice('refused.'.length), Number(row.count)]),
      ),
    },
    lastReceivedAt: arrivals.length === 0 ? null : new Date(last).toISOString(),
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}

/** A bot is registered with the one that ends in `/messages`; other chats with the plain one. */
function communicatorUrls(id: string, provider: string, isCommunicator: boolean, publicUrl: string) {
  if (!isCommunicator) return {};
  const at = `${publicUrl}/api/communicator`;
  return { communicator: provider === 'botframework' ? `${at}/botframework/${id}/messages` : `${at}/webhook/${id}` };
}
