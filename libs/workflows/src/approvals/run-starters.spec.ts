import { beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { catalogue, type EventType } from '#libs/events/src/catalogue.js';
import { streams } from '#libs/events/src/streams.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { startersOf } from './run-starters.js';

let store: MemoryEventStore;
beforeEach(() => {
  store = new MemoryEventStore();
});

/** Appends the example of a type with other fields. @returns its place. */
async function append(stream: string, type: EventType, actor: string, fields: object = {}) {
  const { event: _, ...data } = catalogue[type].example as Record<string, unknown>;
  const context = { id: uuid7(), orgId: 'org_1', actor, now: new Date('2026-11-20T08:00:00Z') };
  const event = newEvent({ type, data: { ...data, ...fields } }, context);
  const { revision } = await store.append(stream, [event], 'any');
  return { id: 'evt_x', type, stream, revision: String(revision) };
}
const started = (id: string, actor: string, fields: object = {}) =>
  append(streams.run(id), 'workflow.started', actor, { runId: id, ...fields });
const starters = async (id: string) => [...(await startersOf(store, id))].sort();

describe('who started a run', () => {
  it('is whoever asked for it by hand', async () => {
    await started('a', 'token/ann');
    expect(await starters('a')).toEqual(['token/ann']);
  });

  it('is whoever published the events that led to it', async () => {
    const first = await append('published-1', 'pr.merged', 'token/ann');
    const second = await append('published-2', 'pr.merged', 'token/bob');
    await started('a', 'millrace', { event: second, events: [first, second] });
    expect(await starters('a')).toEqual(['millrace', 'token/ann', 'token/bob']);
  });

  it('is also whoever started any run above it', async () => {
    await started('a', 'token/ann');
    await started('b', 'run/a', { parent: { runId: 'a', path: 'sub' } });
    await started('c', 'run/b', { parent: { runId: 'b', path: 'sub' } });
    expect(await starters('c')).toContain('token/ann');
  });

  it('is also whoever started the run that emitted the event', async () => {
    await started('a', 'token/ann');
    const emitted = await append(streams.run('a'), 'pr.merged', 'run/a');
    await started('b', 'millrace', { event: emitted });
    expect(await starters('b')).toContain('token/ann');
  });

  it('is also whoever asked the agent whose execution requested it', async () => {
    await started('a', 'token/ann');
    const asked = await append(streams.run('a'), 'agent.requested', 'run/a');
    const execution = streams.execution('exec_1');
    await append(execution, 'agent.started', 'millrace', { request: asked });
    const request = await append(execution, 'workflow.requested', 'agent/agt_1');
    await started('b', 'millrace', { event: request });
    expect(await starters('b')).toContain('token/ann');
  });

  it('is also whoever published the event for which a rule asked the agent', async () => {
    const event = await append('published-1', 'pr.merged', 'token/ann');
    const asked = await append('decisions-1', 'agent.requested', 'rule/rul_1', { event });
    const execution = streams.execution('exec_1');
    await append(execution, 'agent.started', 'millrace', { request: asked });
    const request = await append(execution, 'workflow.requested', 'agent/agt_1');
    await started('b', 'millrace', { event: request });
    expect(await starters('b')).toContain('token/ann');
  });
});
