import { Column, Entity, PrimaryColumn } from 'typeorm';

import { inGrace } from '#libs/access/src/secrets/secret-rotation.js';
import { shownId } from '#libs/events/src/shown-ids.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { asShown } from '#libs/events/src/shapes/fields.js';
import { type IntegrationAnswer, integrationSettings } from '#libs/events/src/shapes/integration-shape.js';
import { formatDuration } from '#libs/kernel/src/time/durations.js';

import type { Provider } from '#libs/plugin-sdk/src/define-provider.js';

import type { Counter } from './counters.js';
import { secretReferenceIn } from '#libs/access/src/secrets/config-secrets.js';
import { type Integration } from './integration.js';
import { MASK } from './settings-check.js';

/** An integration as REST lists it. `state` holds references of secrets, never a secret. */
@Entity({ schema: 'views', name: 'integrations' })
export class IntegrationView {
  @PrimaryColumn('text')
  id!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('json')
  state!: Exclude<Integration, { kind: 'unknown' | 'deleted' }>;
  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
  @Column('timestamptz', { name: 'updated_at' })
  updatedAt!: Date;
}

/** How often what happened to the requests of an integration; written once a second, not derived from the log. */
@Entity({ schema: 'views', name: 'integration_counters' })
export class IntegrationCounterView {
  @PrimaryColumn('text', { name: 'integration_id' })
  integrationId!: string;
  @PrimaryColumn('text')
  counter!: Counter;
  @Column('bigint')
  count!: string;
  @Column('timestamptz', { name: 'last_at' })
  lastAt!: Date;
}

/** What has come in through an integration. */
export interface Activity {
  readonly counters: readonly IntegrationCounterView[];
  /** Start of the current silence, if it is longer than expectedEvery. */
  readonly silentAt: Date | undefined;
  readonly reconciled: DataOf<'integration.reconciled'> | undefined;
}

/** An integration as REST shows it, without any secret. */
export function integrationAnswer(
  { id, state, createdAt, updatedAt }: IntegrationView,
  { counters, silentAt, reconciled }: Activity,
  publicUrl: string,
  now: Date,
  provider: Provider | undefined,
): IntegrationAnswer {
  const { slug, settings } = state;
  const { customPath, rateLimit, config } = settings;
  const inbound = `${publicUrl}/api/v1/webhooks/inbound/${slug}`;
  const count = (name: string): number => Number(counters.find(({ counter }) => counter === name)?.count ?? 0);
  const arrivals = counters.filter(({ counter }) => counter === 'received' || counter === 'duplicates');
  const last = Math.max(...arrivals.map(({ lastAt }) => lastAt.getTime()));
  return {
    id,
    shownId: shownId(id),
    ...asShown(integrationSettings, settings),
    provider: state.provider,
    preset: state.preset ?? null,
    workflowId: state.workflowId ?? null,
    verify: provider?.described?.(config) ?? null,
    enabled: state.kind === 'active',
    slug,
    url: inbound,
    urls: {
      inbound,
      direct: `${publicUrl}/webhooks/${id}`,
      ...(customPath !== undefined && { custom: `${publicUrl}/api/webhook/${customPath}` }),
      ...communicatorUrls(id, state.provider, provider?.communicator === true, publicUrl),
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
      handshakes: count('handshakes'),
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
