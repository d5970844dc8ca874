import { describe, expect, it } from '@jest/globals';

import type { EgressOutcome } from '#libs/egress/src/egress.js';

import { START } from '../../testing/given.js';
import { resultOf, withheld } from './attempt-result.js';

const answered = (status: number, headers: Record<string, string> = {}): EgressOutcome => ({
  kind: 'response',
  status,
  headers,
  body: Buffer.alloc(0),
  truncated: false,
  latencyMs: 3,
});

describe('the result of an attempt', () => {
  it.each([200, 201, 202, 204, 299])('is a delivery for %i', (status) =>
    expect(resultOf(answered(status), START)).toEqual({ kind: 'delivered', status, latencyMs: 3 }),
  );

  it.each([304, 400, 401, 403, 404, 422, 429, 500, 503])('is a failure worth another try for %i', (status) =>
    expect(resultOf(answered(status), START)).toMatchObject({
      kind: 'failed',
      failureClass: 'status',
      status,
      retryable: true,
    }),
  );

  it('is final for 410, and claims nothing about the webhook, which a test leaves as it is', () =>
    expect(resultOf(answered(410), START)).toMatchObject({
      status: 410,
      retryable: false,
      detail: 'the receiver answered 410 Gone',
    }));

  it('keeps what the receiver asks for', () => {
    expect(resultOf(answered(429, { 'retry-after': '30' }), START)).toMatchObject({ retryAfter: 30 });
    expect(resultOf(answered(503), START)).not.toHaveProperty('retryAfter');
  });

  it.each(['timeout', 'dns', 'connect', 'tls', 'refused_address', 'redirect', 'body_too_large'] as const)(
    'is a failure worth another try for %s',
    (failureClass) => {
      const outcome: EgressOutcome = { kind: 'failed', failureClass, detail: 'why', latencyMs: 9 };
      expect(resultOf(outcome, START)).toEqual({
        kind: 'failed',
        failureClass,
        detail: 'why',
        retryable: true,
        latencyMs: 9,
      });
    },
  );

  it('is final where nothing was sent', () =>
    expect(withheld('off')).toMatchObject({ retryable: false, detail: 'off' }));
});
