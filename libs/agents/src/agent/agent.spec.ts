import { describe, expect, it } from '@jest/globals';

import type { AgentSettings } from '#libs/events/src/shapes/agents/agent-shape.js';

import { register, RegisterAgent, remove, RemoveAgent, type Agent, update, UpdateAgent } from './agent.js';

const author = { orgId: 'org_1', actor: 'token/tok_1' };
const settings: AgentSettings = {
  name: 'triage',
  runtime: 'http',
  config: { url: 'https://agents.example.com' },
  webhookEnabled: false,
  auth: 'none',
  rateLimit: 100,
  maxConcurrent: 10,
};
const unknown: Agent = { kind: 'unknown' };
const registered: Agent = { kind: 'registered', orgId: 'org_1', settings };
const removed: Agent = { kind: 'removed', orgId: 'org_1', settings };
const now = new Date();

describe('an agent', () => {
  it('is registered once, however often the request is sent', () => {
    const command = new RegisterAgent('agt_1', author, settings, 'ref');
    expect(register(unknown, command, now)).toEqual([
      { type: 'agent.registered', data: { agentId: 'agt_1', settings, secret: 'ref' } },
    ]);
    expect(register(registered, command, now)).toEqual([]);
    expect(() => register(registered, new RegisterAgent('agt_1', author, { ...settings, name: 'x' }), now)).toThrow(
      expect.objectContaining({ code: 'agent.exists' }),
    );
    expect(() => register(removed, command, now)).toThrow(expect.objectContaining({ code: 'agent.exists' }));
  });

  it('says all of its settings when one changes, and nothing when none does', () => {
    const change = new UpdateAgent('agt_1', author, { webhookEnabled: true });
    expect(update(registered, change, now)).toEqual([
      { type: 'agent.updated', data: { agentId: 'agt_1', settings: { ...settings, webhookEnabled: true } } },
    ]);
    expect(update(registered, new UpdateAgent('agt_1', author, { name: 'triage' }), now)).toEqual([]);
    expect(update(registered, new UpdateAgent('agt_1', author, {}, 'ref2'), now)).toHaveLength(1);
  });

  it('is removed once, and gone then', () => {
    const command = new RemoveAgent('agt_1', author);
    expect(remove(registered, command, now)).toEqual([{ type: 'agent.removed', data: { agentId: 'agt_1' } }]);
    expect(remove(removed, command, now)).toEqual([]);
    for (const state of [unknown, removed])
      expect(() => update(state, new UpdateAgent('agt_1', author, {}), now)).toThrow(
        expect.objectContaining({ code: 'agent.not_found' }),
      );
  });

  it('of another organisation is as unknown as none', () => {
    const stranger = { ...author, orgId: 'org_2' };
    for (const decide of [
      () => update(registered, new UpdateAgent('agt_1', stranger, {}), now),
      () => remove(registered, new RemoveAgent('agt_1', stranger), now),
    ])
      expect(decide).toThrow(expect.objectContaining({ code: 'agent.not_found' }));
  });
});
