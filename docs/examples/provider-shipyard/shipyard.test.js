import { describe, it } from 'node:test';

import { describeProvider } from 'millrace/plugin-sdk/testing';

import { shipyard } from './index.js';

describeProvider(
  {
    provider: shipyard,
    fixtures: new URL('./fixtures/', import.meta.url),
    secret: 'shipyard-fixture-secret',
    now: new Date('2026-11-20T13:14:15Z'),
    signsTime: true,
    expected: {
      'deploy-finished.http': { types: ['pipeline.finished'], eventType: 'deploy.finished', deliveryId: 'dep-81' },
      'deploy-failed.http': { types: ['pipeline.finished'], deliveryId: 'dep-82' },
      'gate-opened.http': { types: ['webhook.received'], eventType: 'gate.opened' },
    },
  },
  { describe, it },
);
