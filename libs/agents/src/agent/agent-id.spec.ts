import type { Egress } from '#libs/egress/src/egress.js';
import { expect, it } from '@jest/globals';
import type { CommandBus } from '@nestjs/cqrs';
import type { DataSource } from 'typeorm';

import type { Caller } from '#libs/access/src/caller.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { ThingCommand } from '#libs/event-store/src/command-handlers.js';
import type { NewAgent } from '#libs/events/src/shapes/agents/agent-shape.js';
import { derivedId } from '#libs/kernel/src/ids.js';
import { Settings } from '#libs/kernel/src/settings.js';

import { AgentController } from './agent.controller.js';
import type { Agent } from './agent.js';

class OneSalt extends Secrets {
  put = () => Promise.resolve('salt of this organisation');
  get = () => Promise.resolve(new Map<string, string>());
  remove = () => Promise.resolve();
}

it('an agent that is made under an Idempotency-Key has an address that nobody can work out, and always the same', async () => {
  const registered: string[] = [];
  const state = { kind: 'registered', orgId: 'org_1', settings: {} };
  const execute = ({ id }: ThingCommand<Agent>) => {
    registered.push(id);
    return Promise.resolve({ id, state, position: 1n, createdAt: new Date(), updatedAt: new Date() });
  };
  const findOneBy = () => Promise.resolve(null);
  const api = new AgentController(
    { execute } as unknown as CommandBus,
    { getRepository: () => ({ findOneBy }) } as unknown as DataSource,
    { whenProcessed: () => Promise.resolve() },
    new OneSalt(),
    new Settings({ publicUrl: 'https://mill.example.com', agentCommands: [] as readonly string[] } as Settings),
    new MemoryEventStore(),
    { refusal: () => undefined } as unknown as Egress,
  );
  const caller: Caller = { orgId: 'org_1', actor: 'token/tok_1', tokenId: 'tok_1', roles: [], idempotencyKey: 'key-1' };
  const body = {
    name: 'triage',
    runtime: 'http',
    config: { url: 'https://agents.example.com' },
  } as unknown as NewAgent;
  await api.create(caller, body);
  await api.create(caller, body);
  expect(registered[0]).toMatch(/^agt_/);
  expect(registered[1]).toBe(registered[0]);
  expect(registered[0]).not.toBe(derivedId('agt', 'idempotency-key', 'org_1', 'key-1'));
});
