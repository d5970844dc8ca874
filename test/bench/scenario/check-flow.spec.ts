import { describe, expect, it } from '@jest/globals';

import { checkCalls, checkDeliveries, type Delivery, Faults } from './check-flow.js';

const acknowledged = [0, 1].map((variant) => ({ id: `id-${variant}`, at: 1, variant, answerId: `evt_${variant}` }));
const calls = [0, 1].map((port) => ({
  port,
  path: '/hook',
  messageId: `msg_${port}`,
  deliveryId: `id-${port}`,
  at: 2,
  signed: true,
}));
const deliveries: readonly Delivery[] = [0, 1].map((n) => ({
  eventId: `evt_${n}`,
  webhookId: `whk_${n}`,
  messageId: `msg_${n}`,
  status: 'success',
  attempts: 1,
}));
const [call, otherCall] = [calls[0]!, calls[1]!];
const [delivery, otherDelivery] = [deliveries[0]!, deliveries[1]!];

const ofCalls = (given: typeof calls) => {
  const faults = new Faults();
  checkCalls(acknowledged, given, faults);
  return faults.list;
};
const ofDeliveries = (given: readonly Delivery[], attempts?: 'one' | 'any') => {
  const faults = new Faults();
  checkDeliveries({ acknowledged, calls }, given, ['whk_0', 'whk_1'], faults, attempts);
  return faults.list;
};

describe('the verify pass of a flow', () => {
  it('passes when everything arrived once', () => {
    expect(ofCalls(calls)).toEqual([]);
    expect(ofDeliveries(deliveries)).toEqual([]);
  });

  it.each([
    ['missing', [call], 'acknowledged, but never delivered: 1, for instance id-1'],
    ['repeated', [...calls, call], 'deliveries that arrived twice: 1, for instance id-0'],
    ['unrequested', [...calls, { ...call, deliveryId: 'x' }], 'unrequested calls: 1, for instance x'],
    ['at the wrong receiver', [call, { ...otherCall, port: 0 }], 'calls at the wrong receiver: 1, for instance id-1'],
    ['badly signed', [call, { ...otherCall, signed: false }], 'calls with a wrong signature: 1, for instance id-1'],
  ])('finds a call that is %s', (_what, given, fault) => {
    expect(ofCalls(given)).toEqual([fault]);
  });

  it.each([
    ['missing', [delivery], 'events without a delivery: 1, for instance evt_1'],
    ['doubled', [...deliveries, delivery], 'events with two deliveries: 1, for instance evt_0'],
    [
      'to another webhook',
      [delivery, { ...otherDelivery, webhookId: 'whk_0' }],
      'deliveries to another webhook: 1, for instance evt_1',
    ],
    [
      'pending',
      [delivery, { ...otherDelivery, status: 'pending' }],
      'deliveries that are pending: 1, for instance evt_1',
    ],
    [
      'tried twice',
      [delivery, { ...otherDelivery, attempts: 2 }],
      'deliveries without exactly one attempt: 1, for instance evt_1',
    ],
    [
      'another message',
      [delivery, { ...otherDelivery, messageId: 'msg_9' }],
      'calls with another webhook-id: 1, for instance id-1',
    ],
  ])('finds a delivery that is %s', (_what, given, fault) => {
    expect(ofDeliveries(given)).toEqual([fault]);
  });

  it('allows several attempts where receivers kept calls waiting', () => {
    expect(ofDeliveries([delivery, { ...otherDelivery, attempts: 2 }], 'any')).toEqual([]);
  });

  it('reports each kind of fault once, with its count', () => {
    expect(ofCalls([])).toEqual(['acknowledged, but never delivered: 2, for instance id-0']);
  });
});
