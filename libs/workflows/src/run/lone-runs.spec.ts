import { describe, expect, it } from '@jest/globals';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';

import { LoneRuns } from './lone-runs.js';

const event = (type: string, data: object): RecordedEvent =>
  ({ type, data: { runId: 'run_1', ...data }, is: (...types: string[]) => types.includes(type) }) as never;
const started = (data: object) => event('workflow.started', { trigger: { kind: 'manual' }, ...data });
const end = event('workflow.completed', {});

function isEndOfOne(...events: readonly RecordedEvent[]): boolean {
  const runs = new LoneRuns();
  for (const one of events) runs.apply(one);
  return runs.isEndOfOne(end);
}

describe('a run whose end concerns nobody else', () => {
  it('was started by no request and shares no limit', () => {
    expect(isEndOfOne(started({}), end)).toBe(true);
    expect(isEndOfOne(started({ trigger: { kind: 'request' } }), end)).toBe(false);
    expect(isEndOfOne(started({ concurrency: { key: 'k', limit: 1 } }), end)).toBe(false);
  });

  it('is no longer one after a retry: the version that it goes on with may have a limit', () => {
    expect(isEndOfOne(started({}), event('run.retried', {}), end)).toBe(false);
  });

  it('is not known after a pause, in which another process may have seen a retry', () => {
    const runs = new LoneRuns();
    runs.apply(started({}));
    runs.clear();
    expect(runs.isEndOfOne(end)).toBe(false);
  });

  it('has one end: other events of it are no ends', () => {
    const runs = new LoneRuns();
    runs.apply(started({}));
    expect(runs.isEndOfOne(event('run.rested', {}))).toBe(false);
  });
});
