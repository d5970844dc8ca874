import { beforeEach, describe, expect, it } from '@jest/globals';

import { newEvent, type EventDraft } from '#libs/event-store/src/new-event.js';
import type { EventType } from '#libs/events/src/catalogue.js';
import { eventUuidOf, executionIdOf } from '#libs/events/src/envelope.js';
import { agentSettings } from '#libs/events/src/shapes/agents/agent-shape.js';
import { withDefaults } from '#libs/events/src/shapes/fields.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { AUTHOR, InboundServer } from '../../testing/inbound-server.js';
import { Refusal } from '../receiving/refusal.js';

const agentId = 'agt_01jq5x1d0wkz4s3v2n8m7b6c5a';

describe('the places of an agent that runs one execution at a time', () => {
  let server: InboundServer;
  beforeEach(async () => {
    server = new InboundServer([]);
    const config = { url: 'https://agents.example.com/triage' };
    const given = { name: 'triage', runtime: 'http' as const, config, webhookEnabled: true, maxConcurrent: 1 };
    await happens({ type: 'agent.registered', data: { agentId, settings: withDefaults(agentSettings, given) } });
  });

  async function happens(draft: EventDraft<EventType>): Promise<void> {
    const stream = `test-${uuid7()}`;
    const context = { ...AUTHOR, id: uuid7(), now: server.clock.now() };
    await server.store.append(stream, [newEvent(draft, context)], 'no-stream');
    for (const event of await server.store.readStream(stream)) await server.agents.apply(event);
  }

  /** @returns ids of the executions, or the status of the refusal. */
  async function sent(key: string, body = '{}', contentType = 'application/json') {
    const outcome = await server.pipeline.receive(server.agents.withId(agentId)!, {
      headers: { 'content-type': contentType, 'idempotency-key': key },
      rawBody: Buffer.from(body),
      query: {},
      contentType,
      method: 'POST',
      target: '/',
      sourceIp: '127.0.0.1',
    });
    return outcome instanceof Refusal ? outcome.status : outcome.eventIds.map((id) => executionIdOf(eventUuidOf(id)!));
  }

  async function ends(executionIds: unknown): Promise<void> {
    for (const executionId of executionIds as string[]) {
      const requestedBy = { kind: 'webhook' as const, agentId };
      await happens({
        type: 'agent.requested',
        data: { requestedBy, eventId: 'evt_1', agent: agentId, input: null, executionId },
      });
      await happens({ type: 'agent.cancelled', data: { executionId } });
    }
  }

  it('are given back when the execution ends', async () => {
    const first = await sent('a');
    expect(await sent('b')).toBe(429);
    await ends(first);
    expect(await sent('b')).toEqual([expect.any(String)]);
  });

  it('are not taken by a repeat of a request whose execution has ended', async () => {
    const first = await sent('a');
    await ends(first);
    expect(await sent('a')).toEqual(first);
    expect(await sent('b')).toEqual([expect.any(String)]);
  });

  it('are kept by a repeat of a request whose execution is running', async () => {
    const first = await sent('a');
    expect(await sent('a')).toEqual(first);
    expect(await sent('b')).toBe(429);
  });

  it('are taken only by what is new of a request that holds earlier elements', async () => {
    const first = await sent('a', '{"n":1}', 'application/x-ndjson');
    await ends(first);
    const both = await sent('a', '{"n":1}\n{"n":2}', 'application/x-ndjson');
    expect(both).toHaveLength(2);
    await ends((both as string[]).slice(1));
    expect(await sent('b')).toEqual([expect.any(String)]);
  });
});
