import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';
import { keptIntegrationSettings } from '../shapes/integration-shape.js';

const id = Type.String({ description: '`int_` and 26 characters' });
const integrationId = 'int_01jq5x1d0wkz4s3v2n8m7b6c5a';

/** Where a secret is kept; never the secret itself. */
const SecretReference = Type.String({ description: 'reference into the store of secrets' });

/** The life of one configured inbound source. */
export const integrationEvents = {
  'integration.silent': defineEvent({
    description:
      'An integration has received nothing for longer than `expectedEvery`. The sender or the connection may be broken.',
    system: true,
    data: Type.Object({
      integrationId: id,
      name: Type.String(),
      expectedEvery: Type.String({ description: '`expectedEvery` of the integration, such as `1h`' }),
      lastReceivedAt: Type.Optional(
        Type.String({ description: 'RFC 3339; absent if nothing was received since it is watched' }),
      ),
    }),
    example: { integrationId, name: 'acme/app', expectedEvery: '1h', lastReceivedAt: '2026-11-20T13:14:15.123Z' },
  }),
  'integration.reconciled': defineEvent({
    description:
      "The sender's list of deliveries was compared with the log, and missing deliveries were requested again.",
    system: true,
    data: Type.Object({
      integrationId: id,
      checked: Type.Integer({ minimum: 0, description: 'deliveries listed by the sender' }),
      missing: Type.Array(
        Type.Object({
          deliveryId: Type.String(),
          eventType: Type.String(),
          requested: Type.Boolean({
            description:
              'true: the sender accepted the request to send it again; false: it refused, or was not asked again yet',
          }),
          refused: Type.Optional(Type.Boolean({ description: 'the sender refused to send it again' })),
        }),
        { description: 'missing deliveries; at most 1000' },
      ),
      more: Type.Optional(
        Type.Boolean({ description: 'more deliveries are missing; they are requested the next time' }),
      ),
      openSince: Type.Optional(
        Type.String({ description: 'RFC 3339: time of the oldest delivery that is missing and may still arrive' }),
      ),
      startedAt: Type.String({ description: 'RFC 3339' }),
      failure: Type.Optional(
        Type.Object({
          code: Type.String(),
          detail: Type.String(),
          retryAfterMs: Type.Optional(Type.Integer({ minimum: 0 })),
        }),
      ),
    }),
    example: {
      integrationId,
      checked: 42,
      missing: [{ deliveryId: '72d3162e-cc78-11e3-81ab-4c9367dc0958', eventType: 'push', requested: true }],
      startedAt: '2026-11-20T13:14:15.123Z',
    },
  }),
  'integration.heard_again': defineEvent({
    description: 'A silent integration received something again.',
    system: true,
    data: Type.Object({
      integrationId: id,
      name: Type.String(),
      silentMs: Type.Integer({ minimum: 0, description: 'milliseconds since integration.silent' }),
    }),
    example: { integrationId, name: 'acme/app', silentMs: 5_400_000 },
  }),
  'integration.created': defineEvent({
    description: 'An integration was created.',
    system: true,
    // Who knows the slug can send.
    hidden: ['slug'],
    data: Type.Object({
      integrationId: id,
      provider: Type.String(),
      preset: Type.Optional(Type.String({ description: 'the sender, where it is known by name' })),
      slug: Type.String({ description: 'the unguessable part of its URL' }),
      secret: Type.Optional(SecretReference),
      workflowId: Type.Optional(Type.String({ description: 'the workflow whose webhook trigger it serves' })),
      ...keptIntegrationSettings,
    }),
    example: {
      integrationId,
      provider: 'github',
      slug: 'wh_k3y9Qm2vT8xZ4nB7cR1pL6wD0sF5hJaE',
      secret: `${integrationId}/1`,
      name: 'acme/app',
      config: {},
    },
  }),
  'integration.updated': defineEvent({
    description: 'Settings of an integration changed; has all current settings.',
    system: true,
    data: Type.Object({ integrationId: id, ...keptIntegrationSettings }),
    example: { integrationId, name: 'acme/app', rateLimit: { limit: 100, perMs: 60_000 }, config: {} },
  }),
  'integration.secret_rotated': defineEvent({
    description: 'The secret of an integration changed; the previous one stays valid for a grace period.',
    system: true,
    data: Type.Object({
      integrationId: id,
      /** Absent: the slug alone authenticates from now on. */
      secret: Type.Optional(SecretReference),
      /** Secrets from before, and until when (RFC 3339 UTC) they are accepted. */
      previous: Type.Array(Type.Object({ secret: SecretReference, validUntil: Type.String() })),
    }),
    example: {
      integrationId,
      secret: `${integrationId}/2`,
      previous: [{ secret: `${integrationId}/1`, validUntil: '2026-11-21T13:14:15.123Z' }],
    },
  }),
  'integration.handshake_opened': defineEvent({
    description: 'An administrator allowed the sender to set a new secret by a handshake.',
    system: true,
    data: Type.Object({ integrationId: id, until: Type.String({ description: 'RFC 3339 UTC' }) }),
    example: { integrationId, until: '2026-11-20T13:24:15.123Z' },
  }),
  'integration.handshake_adopted': defineEvent({
    description: 'The sender sent its secret in a handshake; requests are signed with it from now on.',
    system: true,
    data: Type.Object({
      integrationId: id,
      secret: SecretReference,
      shown: Type.Boolean({ description: 'administrators can read it until the first event' }),
    }),
    example: { integrationId, secret: `${integrationId}/secret/2`, shown: false },
  }),
  'integration.handshake_pending': defineEvent({
    description: 'The sender asked to confirm a subscription at an address that may not be its own.',
    system: true,
    data: Type.Object({ integrationId: id, url: Type.String() }),
    example: { integrationId, url: 'https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription' },
  }),
  'integration.handshake_shown': defineEvent({
    description: 'An administrator read the steps of a handshake.',
    system: true,
    data: Type.Object({ integrationId: id }),
    example: { integrationId },
  }),
  'integration.handshake_finished': defineEvent({
    description: 'The first event arrived after a handshake: its steps are no longer shown.',
    system: true,
    data: Type.Object({ integrationId: id }),
    example: { integrationId },
  }),
  'integration.enabled': defineEvent({
    description: 'An integration was enabled.',
    system: true,
    data: Type.Object({ integrationId: id }),
    example: { integrationId },
  }),
  'integration.disabled': defineEvent({
    description: 'An integration was disabled.',
    system: true,
    data: Type.Object({ integrationId: id }),
    example: { integrationId },
  }),
  'integration.deleted': defineEvent({
    description: 'An integration was deleted; its events stay.',
    system: true,
    data: Type.Object({ integrationId: id }),
    example: { integrationId },
  }),
} as const;
