import { createHmac } from 'node:crypto';

import { expect, it } from '@jest/globals';

import { genericWebhook } from '../generic-webhook.js';

const BODY = '{"a":1}';
const NOW = new Date('2026-11-20T13:14:15Z');
const list = { signature: 'v1', timestamp: 't' };
const config = { verify: { kind: 'hmac', header: 'X-Sig', list, signed: '{timestamp}.{body}' } };

const hintsFor = async (time: number, secret: string): Promise<readonly string[]> => {
  const v1 = createHmac('sha256', secret).update(`${time}.${BODY}`).digest('hex');
  const request = {
    headers: { 'x-sig': `t=${time},v1=${v1}` },
    rawBody: Buffer.from(BODY),
    query: {},
    contentType: 'application/json',
    sourceIp: '',
  };
  return (await genericWebhook.explain!(request, { secrets: ['the-secret'], config, now: NOW })).hints;
};

it('hints at another unit of the time where that makes a request fit, and not where only the secret is another', async () => {
  expect(await hintsFor(NOW.getTime(), 'the-secret')).toEqual([expect.stringContaining('timestamp.unit to ms')]);
  expect(await hintsFor(NOW.getTime() / 1000, 'another-secret')).toEqual([]);
});
