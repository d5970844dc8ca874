import { beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent, type EventDraft } from '#libs/event-store/src/new-event.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { type Uuid, uuid7 } from '#libs/kernel/src/ids.js';

import { builtInProviders } from '#libs/providers/src/built-in.js';

import { InboundServer, NOW } from '../../testing/inbound-server.js';
import type { OwnChanges } from './own-changes.table.js';

const START = new Date(NOW);
const requestedBy = { kind: 'rule' as const, ruleId: 'rul_1', ruleVersion: 1, index: 0 };

let table: OwnChanges;
let store: MemoryEventStore;
let server: InboundServer;
beforeEach(() => {
  store = new MemoryEventStore(() => START);
  server = new InboundServer([builtInProviders], [], store);

  table = server.ownChanges;
});

async function happens(stream: string, draft: EventDraft, id: Uuid = uuid7()): Promise<RecordedEvent> {
  await store.append(stream, [newEvent(draft, { id, orgId: 'org_1', actor: 'x', now: START })], 'any');
  const [event] = (await store.readStream(stream)).slice(-1);
  table.apply(event!);
  return event!;
}
const asked = (issue?: string) =>
  happens(streams.decisions(uuid7()), {
    type: 'issue.requested',
    data: { requestedBy, eventId: 'evt_1', tracker: 'code', title: 'x', ...(issue !== undefined && { issue }) },
  });
const about = (request: RecordedEvent, integrationId = 'int_1') => ({
  requestId: eventIdOf(request.id),
  request: { stream: request.stream, revision: '0' },
  requestedBy,
  eventId: 'evt_1',
  attempt: 1,
  integrationId,
});
const begins = (request: RecordedEvent, stream = streams.tracked(request.id), integrationId?: string) =>
  happens(stream, { type: 'tracker.attempted', data: about(request, integrationId) });
const ends = (request: RecordedEvent, account?: string, stream = streams.tracked(request.id), integrationId?: string) =>
  happens(stream, {
    type: 'tracker.issue_commented',
    data: {
      ...about(request, integrationId),
      provider: 'github',
      issue: { id: '17' },
      latencyMs: 1,
      ...(account !== undefined && { account }),
    },
  });
const causeAt = (seconds: number, actor = '99', issue = '17') =>
  table.causeOf('int_1', { actor, issue }, new Date(START.getTime() + seconds * 1_000));

describe('a change that a tracker reports', () => {
  it('follows from our request where our account made it, from the beginning of the attempt on', async () => {
    await ends(await asked('3'), '99');
    const request = await asked('17');
    expect(causeAt(1)).toBeUndefined();
    await begins(request);
    expect(causeAt(1)).toMatchObject({ $causationId: request.id, hop: 1 });
    expect(causeAt(120)).toBeDefined();
  });

  it('is a person’s where another account made it, on another issue, or later', async () => {
    const request = await asked('17');
    await begins(request);
    // The account is not known yet.
    expect(causeAt(1)).toBeUndefined();
    await ends(request, '99');
    expect(causeAt(1)).toBeDefined();
    expect([causeAt(1, '98'), causeAt(1, '99', '18'), causeAt(121)]).toEqual([undefined, undefined, undefined]);
    expect(table.causeOf('int_2', { actor: '99', issue: '17' }, START)).toBeUndefined();
  });

  it('is not believed to be ours because of an event in a stream of somebody else', async () => {
    const request = await asked('17');
    await ends(request, '99', streams.issue('iss_1'));
    expect(causeAt(1)).toBeUndefined();
  });

  it('of an issue that was opened has its mark, and is left to it', async () => {
    await ends(await asked(), '99');
    expect(causeAt(1)).toBeUndefined();
  });

  it('is recorded as a consequence of the request that made it, of GitHub and of GitLab', async () => {
    const { id: github } = await server.integration('github');
    const { id: gitlab } = await server.integration('gitlab');
    const requests: RecordedEvent[] = [];
    for (const integrationId of [github, gitlab]) {
      const request = await asked('17');
      await begins(request, streams.tracked(request.id), integrationId);
      await ends(request, '99', streams.tracked(request.id), integrationId);
      requests.push(request);
    }
    const ofGithub = { action: 'labeled', sender: { id: 99 }, issue: { number: 17 } };
    const receive = (id: string, body: object, headers: Record<string, string>) =>
      server.pipeline.receive(server.table.withId(id)!, {
        headers: { 'content-type': 'application/json', ...headers },
        rawBody: Buffer.from(JSON.stringify(body)),
        query: {},
        contentType: 'application/json',
        method: 'POST',
        target: '/',
        sourceIp: '127.0.0.1',
      });
    await receive(github, ofGithub, { 'x-github-event': 'issues', 'x-github-delivery': '1' });
    await receive(github, { ...ofGithub, sender: { id: 98 } }, { 'x-github-delivery': '2' });
    const ofGitlab = { object_kind: 'issue', user: { id: 99 }, object_attributes: { iid: 17, action: 'update' } };
    await receive(gitlab, ofGitlab, { 'idempotency-key': '3' });
    const inbound = await server.received();
    expect(inbound.map(({ metadata }) => metadata.$causationId)).toEqual([requests[0]!.id, undefined, requests[1]!.id]);
  });
});
