import { beforeEach, describe, expect, it } from '@jest/globals';

import type { Caller } from '#libs/access/src/caller.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { type Decide, execute, type ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import type { AgentSettings } from '#libs/events/src/shapes/agent-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { publicId, uuid7 } from '#libs/kernel/src/ids.js';

import { useViews } from '../../../test/support/views.js';
import { Follower } from '../../persistence/testing/follower.js';
import { RegisterAgent, RemoveAgent, UpdateAgent, type Agent, agent, register, remove, update } from './agent.js';
import { AgentProjection } from './agent.projection.js';
import { AgentView, ExecutionView } from './agent.view.js';
import { Executions } from './execution-list.adapter.js';
import { RequestAgents } from './webhook.subscriber.js';

const caller: Caller = { orgId: 'org_1', actor: 'token/tok_1', tokenId: 'tok_1', roles: ['designer'] };
const SETTINGS: AgentSettings = {
  name: 'triage',
  runtime: 'http',
  config: { url: 'https://agents.example.com' },
  webhookEnabled: true,
  auth: 'none',
  rateLimit: 100,
  maxConcurrent: 10,
};

class NamesOfSecrets extends Secrets {
  readonly kept = new Set<string>();
  put(_: string, reference: string, plain: string): Promise<string> {
    this.kept.add(reference);
    return Promise.resolve(plain);
  }
  get(): Promise<ReadonlyMap<string, string>> {
    return Promise.resolve(new Map());
  }
  remove(references: readonly string[]): Promise<void> {
    for (const reference of references) this.kept.delete(reference);
    return Promise.resolve();
  }
}

const views = useViews({ entities: [AgentView, ExecutionView] });

const clock = new FixedClock('2026-11-20T13:14:15.123Z');
let store: MemoryEventStore;
let secrets: NamesOfSecrets;
let executions: Executions;
let follower: Follower;
beforeEach(async () => {
  store = new MemoryEventStore(() => clock.now());
  secrets = new NamesOfSecrets();
  follower = new Follower(store, views.dataSource);
  executions = new Executions(views.dataSource, store, { whenProcessed: () => follow() }, clock);
});

/** Lets both subscribers handle what is new for them. */
async function follow(): Promise<void> {
  await follower.run(new RequestAgents(store, clock));
  await follower.run(new AgentProjection(store, secrets));
}
const run = async <C extends ThingCommand<Agent>>(
  command: C,
  decide: Decide<Agent, 'agent.registered' | 'agent.updated' | 'agent.removed', C>,
): Promise<void> => {
  clock.advance(1_000);
  await execute(store, clock, agent, decide, command);
  await follow();
};
const registered = (id: string, more: Partial<AgentSettings> = {}, secret?: string) =>
  run(new RegisterAgent(id, caller, { ...SETTINGS, ...more }, secret), register);

async function requested(name: string, orgId = 'org_1'): Promise<string> {
  const id = uuid7();
  clock.advance(1_000);
  const requestedBy = { kind: 'run' as const, runId: 'run_1', stepId: 'ask' };
  const data: DataOf<'agent.requested'> = { requestedBy, eventId: 'evt_1', agent: name, input: {} };
  const context = { id, orgId, actor: 'run/run_1', now: clock.now() };
  await store.append(`s-${id}`, [newEvent({ type: 'agent.requested', data }, context)], 'no-stream');
  await follow();
  return publicId('exec', id);
}
const list = async (name: string, query: { trigger?: string; status?: string } = {}) =>
  (await executions.list('org_1', name, query, { limit: 50, after: undefined })).data;

describe('an execution', () => {
  it('is that of the agent that has the name then, and not of one that had it', async () => {
    await registered('agt_1');
    const first = await requested('triage');
    await run(new RemoveAgent('agt_1', caller), remove);
    const waiting = await requested('triage');
    expect((await list('agt_1')).map(({ id }) => id)).toEqual([first]);
    expect(await list('triage')).toMatchObject([
      { id: waiting, agentId: null, status: 'pending', trigger: 'workflow' },
    ]);
    await registered('agt_2');
    expect((await list('agt_2')).map(({ id }) => id)).toEqual([waiting]);
    expect((await list('agt_1')).map(({ id }) => id)).toEqual([first]);
  });

  it('finds its agent too when that takes the name on later', async () => {
    const waiting = await requested('helper');
    await registered('agt_1');
    expect((await list('helper')).map(({ id }) => id)).toEqual([waiting]);
    await run(new UpdateAgent('agt_1', caller, { name: 'helper' }), update);
    expect((await list('agt_1')).map(({ id }) => id)).toEqual([waiting]);
  });

  it('of another organisation is none', async () => {
    await registered('agt_1');
    const theirs = await requested('agt_1', 'org_2');
    expect(await list('agt_1')).toEqual([]);
    await expect(executions.view('org_1', 'agt_1', theirs)).rejects.toMatchObject({ code: 'agent.no_execution' });
  });

  it('is there once, and cancelled once, whatever is handled again', async () => {
    await registered('agt_1');
    const id = await requested('triage');
    expect(await executions.cancel(caller, 'agt_1', id)).toMatchObject({ status: 'cancelled' });
    expect(await executions.cancel(caller, 'agt_1', id)).toMatchObject({ status: 'cancelled' });
    const before = await views.dataSource.query('select * from views.agent_executions');
    follower = new Follower(store, views.dataSource);
    await follow();
    expect(await views.dataSource.query('select * from views.agent_executions')).toEqual(before);
    expect((await store.readStream(streams.cancelled(id))).length).toBe(1);
  });

  it('comes page by page, the newest first', async () => {
    await registered('agt_1');
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) ids.unshift(await requested('agt_1'));
    const first = await executions.list('org_1', 'agt_1', {}, { limit: 3, after: undefined });
    expect(first.data.map(({ id }) => id)).toEqual(ids.slice(0, 3));
    const after = JSON.parse(Buffer.from(first.nextCursor!, 'base64url').toString()) as string[];
    const second = await executions.list('org_1', 'agt_1', {}, { limit: 3, after });
    expect([second.data.map(({ id }) => id), second.nextCursor]).toEqual([ids.slice(3), null]);
    expect(await list('agt_1', { status: 'running' })).toEqual([]);
    expect(await list('agt_1', { trigger: 'workflow' })).toHaveLength(5);
  });
});

describe('the secret of an agent', () => {
  it('is thrown away when another takes its place, and with the agent', async () => {
    for (const reference of ['a', 'b', 'c']) await secrets.put('org_1', reference, reference);
    await registered('agt_1', { auth: 'bearer' }, 'a');
    await run(new UpdateAgent('agt_1', caller, {}, 'b'), update);
    expect([...secrets.kept]).toEqual(['b', 'c']);
    await run(new UpdateAgent('agt_1', caller, { rateLimit: 7 }), update);
    expect([...secrets.kept]).toEqual(['b', 'c']);
    // Everything handled again from the start keeps what is in use.
    follower = new Follower(store, views.dataSource);
    await follow();
    expect([...secrets.kept]).toEqual(['b', 'c']);
    await run(new RemoveAgent('agt_1', caller), remove);
    expect([...secrets.kept]).toEqual(['c']);
  });
});
