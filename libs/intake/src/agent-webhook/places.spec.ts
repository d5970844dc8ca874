import { beforeEach, describe, expect, it } from '@jest/globals';

import fc from 'fast-check';

import { newEvent, type EventDraft } from '#libs/event-store/src/new-event.js';
import type { EventType } from '#libs/events/src/catalogue.js';
import { eventUuidOf, executionIdOf } from '#libs/events/src/envelope.js';
import { agentSettings } from '#libs/events/src/shapes/agents/agent-shape.js';
import { withDefaults } from '#libs/events/src/shapes/fields.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { AUTHOR, InboundServer } from '../../testing/inbound-server.js';
import { Refusal } from '../receiving/refusal.js';
import { type GiveBack, Places } from './places.js';

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

  it('are not needed for a repeat while another execution has the only one', async () => {
    const first = await sent('a');
    await ends(first);
    const second = await sent('b');
    expect(await sent('a')).toEqual(first);
    expect(await sent('b')).toEqual(second);
    expect(await sent('c')).toBe(429);
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

describe('the executions of an agent that may begin in a minute', () => {
  const places = (perMinute: number) => Object.assign(new Places(), { limit: 100, perMinute });

  it('are counted with those of other processes and of before the start, which the log tells', () => {
    const one = places(2);
    one.began('exec_other', 0);
    expect(one.take(['exec_1'], 1_000)).toBeInstanceOf(Function);
    expect(one.take(['exec_2'], 2_000)).toEqual({ retryAfterMs: 58_000 });
    // A repeat begins nothing.
    expect(one.take(['exec_1'], 2_000)).toBeInstanceOf(Function);
    expect(one.take(['exec_2'], 60_000)).toBeInstanceOf(Function);
    expect(one.take(['exec_3'], 60_000)).toEqual({ retryAfterMs: 1_000 });
  });

  it('are given back where nothing was stored, and count once, however often they are told', () => {
    const one = places(1);
    (one.take(['exec_1'], 0) as GiveBack)(['exec_1']);
    expect(one.take(['exec_2'], 1)).toBeInstanceOf(Function);
    one.began('exec_2', 5);
    one.occupy('exec_2');
    one.free('exec_2');
    expect(one.take(['exec_3'], 60_000)).toEqual({ retryAfterMs: 1 });
    expect(one.take(['exec_3'], 60_001)).toBeInstanceOf(Function);
  });

  it('are never more than the limit in any minute, whichever come when', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(30_000), { maxLength: 60 }), (limit, pauses) => {
        const one = places(limit);
        const begun: number[] = [];
        let now = 0;
        pauses.forEach((pause, n) => {
          now += pause;
          const id = `exec_${n}`;
          const outcome = one.take([id], now);
          one.free(id);
          if (typeof outcome === 'function') begun.push(now);
          else expect(now + outcome.retryAfterMs!).toBe(begun.at(-limit)! + 60_000);
        });
        for (const at of begun)
          expect(begun.filter((other) => other > at - 60_000 && other <= at).length <= limit).toBe(true);
      }),
    );
  });
});
