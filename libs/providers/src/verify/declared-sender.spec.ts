import { describe, expect, it } from '@jest/globals';

import type { InboundRequest } from '#libs/plugin-sdk/src/define-provider.js';

import { DeclaredSender } from './declared-sender.js';

const none = { find: () => Promise.resolve(undefined), isUnavailable: () => false };
const sender = new DeclaredSender(
  { verify: { kind: 'field', field: 'token' }, read: { each: 'events', deliveryId: 'hash:body' } },
  { keys: none, certificates: none },
);

const request: InboundRequest = {
  headers: {},
  rawBody: Buffer.from(JSON.stringify({ events: Array.from({ length: 100 }, () => ({ token: 'secret' })) })),
  query: {},
  contentType: 'application/json',
  sourceIp: '',
};

describe('a body of many elements', () => {
  it('is parsed, taken apart and hashed once', async () => {
    await sender.verify(request, { secrets: ['secret'], config: {}, now: new Date() });
    const view = sender.view(request, {});
    const elements = view.elements(() => {
      throw new Error('taken apart again');
    });
    expect(elements).toHaveLength(100);
    const ids = elements.map((value, index) => sender.read(sender.view(request, {}), { value, index }).deliveryId);
    expect(new Set(ids).size).toBe(100);
    expect(ids.every((id) => id!.startsWith(view.bodyHash))).toBe(true);
  });
});
