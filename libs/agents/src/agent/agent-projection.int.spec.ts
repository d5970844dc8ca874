import { beforeEach, describe, expect, it } from '@jest/globals';

import type { Caller } from '#libs/access/src/caller.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { type Decide, execute, type ThingCommand } from '#libs/event-store/src/command-handlers.js';
import type { AgentSettings } from '#libs/events/src/shapes/agents/agent-shape.js';
import { FixedClock } from '#libs/kernel/src/clock.js';

import { useViews } from '../../../../test/support/views.js';
import { Follower } from '../../../persistence/testing/follower.js';
import { RegisterAgent, RemoveAgent, UpdateAgent, type Agent, agent, register, remove, update } from './agent.js';
import { AgentProjection } from './agent.projection.js';
import { AgentView } from './agent.view.js';

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

const views = useViews({ entities: [AgentView] });

const clock = new FixedClock('2026-11-20T13:14:15.123Z');
let store: MemoryEventStore;
let secrets: NamesOfSecrets;
let follower: Follower;
beforeEach(async () => {
  store = new MemoryEventStore(() => clock.now());
  secrets = new NamesOfSecrets();
  follower = new Follower(store, views.dataSource);
});

/** Lets the projection handle what is new for it. */
const follow = () => follower.run(new AgentProjection(store, secrets));
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

  it('is kept as long as it is in its time of grace', async () => {
    for (const reference of ['a', 'b', 'c']) await secrets.put('org_1', reference, reference);
    await registered('agt_1', { auth: 'bearer' }, 'a');
    await run(new UpdateAgent('agt_1', caller, {}, 'b', 3_600), update);
    expect([...secrets.kept]).toEqual(['a', 'b', 'c']);
    clock.advance(3_600_000);
    await run(new UpdateAgent('agt_1', caller, {}, 'c', 3_600), update);
    expect([...secrets.kept]).toEqual(['b', 'c']);
  });
});
