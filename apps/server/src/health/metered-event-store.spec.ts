import { beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { webhookEvents } from '#libs/events/src/types/webhook.events.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { MeteredEventStore } from './metered-event-store.js';
import { Metrics } from './metrics.js';

describe('the measured log', () => {
  let metrics: Metrics;
  let store: MeteredEventStore;
  beforeEach(() => {
    metrics = new Metrics();
    store = new MeteredEventStore(new MemoryEventStore(), metrics);
  });
  const event = (type: string, data: object = {}) =>
    newEvent({ type, data }, { id: uuid7(), orgId: 'org_a', actor: 'millrace', now: new Date() });
  const value = async (line: string) => {
    const text = await metrics.registry.metrics();
    const found = text.split('\n').find((one) => one.startsWith(`${line} `));
    return found === undefined ? undefined : Number(found.slice(line.length + 1));
  };

  it('counts what it appends by type, once', async () => {
    const events = [event('git.push'), event('git.push')];
    await store.append('s', events, 'no-stream');
    await store.append('s', events, 'no-stream');
    expect(await value('millrace_events_appended_total{type="git.push"}')).toBe(2);
    expect(await value('millrace_log_append_duration_seconds_count{outcome="stored"}')).toBe(1);
    expect(await value('millrace_log_append_duration_seconds_count{outcome="repeated"}')).toBe(1);
  });

  it('gives types that users may invent one name, so that they cannot fill the memory of whoever scrapes', async () => {
    await store.append('a', [event('developer.added')], 'no-stream');
    await store.append('b', [event('developer.removed')], 'no-stream');
    expect(await value('millrace_events_appended_total{type="custom"}')).toBe(2);
    expect(await metrics.registry.metrics()).not.toContain('developer');
  });

  it('tells conflicts from failures, and throws both on', async () => {
    await store.append('s', [event('git.push')], 'no-stream');
    await expect(store.append('s', [event('git.push')], 'no-stream')).rejects.toThrow(/revision/);
    await store.close();
    await expect(store.append('s', [event('git.push')], 0n)).rejects.toThrow();
    expect(await value('millrace_log_append_duration_seconds_count{outcome="conflict"}')).toBe(1);
    expect(await value('millrace_log_append_duration_seconds_count{outcome="failed"}')).toBe(1);
  });

  it('counts attempts of deliveries by how they ended', async () => {
    await store.append('a', [event('webhook.delivered', webhookEvents['webhook.delivered'].example)], 'no-stream');
    await store.append('b', [event('webhook.failed', webhookEvents['webhook.failed'].example)], 'no-stream');
    expect(await value('millrace_delivery_attempts_total{outcome="delivered"}')).toBe(1);
    expect(await value('millrace_delivery_attempts_total{outcome="status"}')).toBe(1);
  });

  it('goes on measuring when a source of numbers does not answer', async () => {
    metrics.ask({
      pacedDeliveries: async () => 3,
      subscribers: () => Promise.reject(new Error('down')),
      work: () => Promise.reject(new Error('down')),
    });
    expect(await metrics.registry.metrics()).toContain('process_cpu_seconds_total');
  });
});
