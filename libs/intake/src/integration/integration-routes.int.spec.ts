import { HttpEgress } from '#libs/egress/src/egress.adapter.js';
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { CommandBus } from '@nestjs/cqrs';
import type { DataSource } from 'typeorm';

import type { Caller } from '#libs/access/src/caller.js';
import { execute, type ThingCommand } from '#libs/event-store/src/command-handlers.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { derivedId } from '#libs/kernel/src/ids.js';
import { Settings } from '#libs/kernel/src/settings.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';

import { useViews } from '../../../../test/support/views.js';
import { Follower } from '../../../persistence/testing/follower.js';
import { githubHeaders, InboundServer } from '../../testing/inbound-server.js';
import { CounterWriter } from '../integration/counter-writer.adapter.js';
import { TrialController } from '../trial/trial.controller.js';
import { newSlug } from './settings-change.js';
import { IntegrationController } from './integration.controller.js';
import {
  CreateIntegration,
  DeleteIntegration,
  DisableIntegration,
  EnableIntegration,
  RotateSecret,
  UpdateIntegration,
  create,
  disable,
  enable,
  integration,
  remove,
  rotateSecret,
  update,
} from './integration.js';
import { IntegrationProjection } from './integration.projection.js';
import { IntegrationCounterView, IntegrationView } from './integration.view.js';
import { MASK } from './settings-check.js';

const caller: Caller = { orgId: 'org_1', actor: 'token/tok_1', tokenId: 'tok_1', roles: ['integrator'] };
const stranger: Caller = { ...caller, orgId: 'org_2' };
const decisions = new Map<unknown, unknown>([
  [CreateIntegration, create],
  [UpdateIntegration, update],
  [RotateSecret, rotateSecret],
  [EnableIntegration, enable],
  [DisableIntegration, disable],
  [DeleteIntegration, remove],
]);

const views = useViews({ entities: [IntegrationView, IntegrationCounterView] });

let server: InboundServer;
let api: IntegrationController;
let trial: TrialController;
let follower: Follower;

/** Table and list see what is new. */
async function follow(): Promise<void> {
  await server.see();
  await follower.run(new IntegrationProjection(server.secrets));
}

beforeEach(async () => {
  server = new InboundServer([builtInProviders]);
  follower = new Follower(server.store, views.dataSource);
  const { store, clock, secrets, table, pipeline } = server;
  const commands = {
    execute: (command: ThingCommand) =>
      execute(store, clock, integration, decisions.get(command.constructor) as never, command as never),
  } as unknown as CommandBus;
  const progress: Progress = {
    whenProcessed: (name) => (name === followers.integrationViews ? follow() : Promise.resolve()),
  };
  const settings = new Settings({ publicUrl: 'https://mill.example.com' } as Settings);
  api = new IntegrationController(
    commands,
    progress,
    views.dataSource,
    secrets,
    new Plugins([builtInProviders]),
    settings,
    clock,
    table,
    store,
    new HttpEgress({ allowHttpTargets: false, allowPrivateTargets: [] }),
  );
  trial = new TrialController(table, pipeline, store, clock);
});

const receive = async (slug: string, secret: string, delivery?: string) => {
  const receiver = server.table.withSlug(slug)!;
  const headers = githubHeaders('ping', '{}', secret, delivery);
  const request = { headers, rawBody: Buffer.from('{}'), query: {}, contentType: 'application/json', sourceIp: '::1' };
  return server.pipeline.receive(receiver, request);
};

describe('integrations by REST', () => {
  it('are created with their addresses, and show their secret once', async () => {
    const made = await api.create(caller, {
      name: 'acme',
      provider: 'github',
      secret: 'secret-1',
      customPath: 'acme',
      allowedSources: ['10.0.0.0/8'],
      rateLimit: 10,
      dedupeKey: 'id',
      config: { token: 'ghp_x', hookId: 7 },
    });
    expect(made).toMatchObject({
      secret: 'secret-1',
      enabled: true,
      hasSecret: true,
      url: `https://mill.example.com/api/v1/webhooks/inbound/${made.slug}`,
      urls: {
        direct: `https://mill.example.com/webhooks/${made.id}`,
        custom: 'https://mill.example.com/api/webhook/acme',
      },
      rateLimit: { limit: 10, per: '1m' },
      config: { token: MASK, hookId: 7 },
      counts: { received: 0, duplicates: 0, retries: 0, refused: {} },
      lastReceivedAt: null,
    });
    const shown = await api.view(caller, made.id);
    expect(shown).not.toHaveProperty('secret');
    const { events } = await server.store.readAll({ limit: 10 });
    const [row] = await views.dataSource.query<object[]>('select state from views.integrations');
    for (const text of [JSON.stringify(shown), events[0]!.dataJson + events[0]!.metadataJson, JSON.stringify(row)])
      expect(text).not.toMatch(/secret-1|ghp_x/);
  });

  it('are the same when the same request comes again under one Idempotency-Key', async () => {
    const keyed = { ...caller, idempotencyKey: 'key-1' };
    const first = await api.create(keyed, { name: 'acme', provider: 'github', secret: 'secret-1' });
    const second = await api.create(keyed, { name: 'acme', provider: 'github', secret: 'secret-1' });
    expect(second).toEqual(first);
    expect((await api.list(caller)).data).toHaveLength(1);
    expect((await api.create(caller, { name: 'acme', provider: 'github' })).id).not.toBe(first.id);
  });

  it('have an id under an Idempotency-Key that nobody can work out, and one of before is found again', async () => {
    const keyed = { ...caller, idempotencyKey: 'key-1' };
    const guess = derivedId('int', 'idempotency-key', 'org_1', 'key-1');
    const { id } = await api.create(keyed, { name: 'acme', provider: 'github' });
    expect(id).not.toBe(guess);
    expect(server.table.withId(guess)).toBeUndefined();
    const [of, earlier] = ['key-2', derivedId('int', 'idempotency-key', 'org_1', 'key-2')];
    await server.run(new CreateIntegration(earlier, caller, 'github', newSlug(), { name: 'old', config: {} }), create);
    await follow();
    expect(await api.create({ ...caller, idempotencyKey: of }, { name: 'old', provider: 'github' })).toMatchObject({
      id: earlier,
    });
  });

  it('refuse a provider that nobody knows, and a path that is taken', async () => {
    await expect(api.create(caller, { name: 'x', provider: 'gitbub' })).rejects.toMatchObject({
      code: 'integration.unknown_provider',
      problems: [{ pointer: '/provider' }],
    });
    await api.create(caller, { name: 'one', provider: 'github', customPath: 'same' });
    const other = await api.create(stranger, { name: 'two', provider: 'github' });
    const taken = { code: 'integration.path_taken', kind: 'conflict' };
    await expect(api.create(stranger, { name: 'x', provider: 'github', customPath: 'same' })).rejects.toMatchObject(
      taken,
    );
    await expect(api.change(stranger, other.id, { customPath: 'same' })).rejects.toMatchObject(taken);
  });

  it('leave nothing behind when they are refused', async () => {
    await expect(
      api.create(caller, { name: 'x', provider: 'github', secret: 'secret-1', config: { token: 't', nope: 1 } }),
    ).rejects.toMatchObject({ code: 'integration.invalid' });
    expect(server.secrets.kept.size).toBe(0);
    expect((await server.store.readAll({ limit: 10 })).events).toEqual([]);
  });

  it('rotate their secret: the old one stays for its grace, then its text is thrown away with the next rotation', async () => {
    const { id, slug } = await api.create(caller, { name: 'acme', provider: 'github', secret: 'secret-1' });
    const changed = await api.change(caller, id, { secret: 'secret-2', graceSeconds: 60 });
    expect(changed.previousSecrets).toEqual([{ validUntil: '2026-11-20T13:15:15.123Z' }]);
    const accepted = async (secret: string) => 'eventIds' in (await receive(slug, secret));
    expect([await accepted('secret-1'), await accepted('secret-2')]).toEqual([true, true]);
    server.clock.advance(60_000);
    expect([await accepted('secret-1'), await accepted('secret-2')]).toEqual([false, true]);
    await api.change(caller, id, { secret: 'secret-3', graceSeconds: 0 });
    expect([await accepted('secret-2'), await accepted('secret-3')]).toEqual([false, true]);
    expect([...server.secrets.kept.values()]).toEqual(['secret-3']);
    await api.change(caller, id, { secret: null, graceSeconds: 0 });
    expect([server.secrets.kept.size, await accepted('anything')]).toEqual([0, true]);
    await expect(api.change(caller, id, { graceSeconds: 5 })).rejects.toMatchObject({
      problems: [{ pointer: '/graceSeconds' }],
    });
  });

  it('are changed, keep a secret of their config that comes back masked, and lose what is null', async () => {
    const { id } = await api.create(caller, {
      name: 'acme',
      provider: 'github',
      customPath: 'acme',
      rateLimit: 5,
      config: { token: 'ghp_x' },
    });
    const changed = await api.change(caller, id, {
      name: 'new',
      customPath: null,
      rateLimit: null,
      config: { token: MASK, repository: 'acme/app' },
    });
    expect(changed).toMatchObject({
      name: 'new',
      customPath: null,
      rateLimit: null,
      config: { token: MASK, repository: 'acme/app' },
    });
    expect(server.table.withId(id)!.config).toEqual({ token: 'ghp_x', repository: 'acme/app' });
    await api.change(caller, id, { config: { token: 'ghp_y' } });
    expect(server.table.withId(id)!.config).toEqual({ token: 'ghp_y' });
    expect([...server.secrets.kept.values()]).toEqual(['ghp_y']);
  });

  it('have a secret with which their provider can do something, from the start and when it is rotated', async () => {
    const refusal = { code: 'integration.invalid', problems: [expect.objectContaining({ pointer: '/secret' })] };
    const made = { name: 'billing', provider: 'standard_webhooks' };
    await expect(api.create(caller, { ...made, secret: 'secret-1' })).rejects.toMatchObject(refusal);
    const { id } = await api.create(caller, { ...made, secret: 'whsec_c2VjcmV0' });
    await expect(api.change(caller, id, { name: 'new', secret: 'secret-2' })).rejects.toMatchObject(refusal);
    expect(await api.view(caller, id)).toMatchObject({ name: 'billing', previousSecrets: [] });
    expect(await api.change(caller, id, { secret: null })).toMatchObject({ hasSecret: false });
  });

  it('have a dedupeKey or a sender that is asked, whichever comes first', async () => {
    const both = (pointer: string) => ({
      code: 'integration.dedupe_key_and_reconcile',
      kind: 'invalid',
      problems: expect.arrayContaining([expect.objectContaining({ pointer })]),
      message: expect.stringMatching(/Remove dedupeKey.*token, hookId, repository/),
    });
    const config = { token: 'ghp_x', hookId: 7, repository: 'acme/app' };
    const made = { name: 'acme', provider: 'github' };
    await expect(api.create(caller, { ...made, dedupeKey: 'id', config })).rejects.toMatchObject(both('/dedupeKey'));
    expect(server.secrets.kept.size).toBe(0);
    const { id } = await api.create(caller, { ...made, dedupeKey: 'id' });
    await expect(api.change(caller, id, { config })).rejects.toMatchObject(both('/config'));
    await api.change(caller, id, { dedupeKey: null, config });
    await expect(api.change(caller, id, { dedupeKey: 'id' })).rejects.toMatchObject(both('/dedupeKey'));
    expect(await api.change(caller, id, { dedupeKey: 'id', config: { hookId: 7 } })).toMatchObject({ dedupeKey: 'id' });
    expect(await api.change(caller, id, { config: { hookId: 8 } })).toMatchObject({ dedupeKey: 'id' });
  });

  it('are disabled, enabled and deleted, with everything that was kept for them', async () => {
    const { id, slug } = await api.create(caller, { name: 'acme', provider: 'github', secret: 'secret-1' });
    expect(await api.change(caller, id, { enabled: false })).toMatchObject({ enabled: false });
    expect(server.table.withSlug(slug)).toBeUndefined();
    expect(await api.change(caller, id, { enabled: true })).toMatchObject({ enabled: true });
    expect(server.table.withSlug(slug)).toBeDefined();
    await api.remove(caller, id);
    expect([server.table.withSlug(slug), server.secrets.kept.size]).toEqual([undefined, 0]);
    await expect(api.view(caller, id)).rejects.toMatchObject({ code: 'integration.not_found' });
    await api.remove(caller, id);
  });

  it('are one page after another, oldest first, each organisation its own', async () => {
    const made: string[] = [];
    for (let n = 0; n < 5; n++) {
      server.clock.advance(n % 2);
      made.push((await api.create(caller, { name: `n${n}`, provider: 'github' })).id);
    }
    await api.create(stranger, { name: 'other', provider: 'github' });
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await api.list(caller, '2', cursor);
      seen.push(...page.data.map(({ id }) => id));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect([...seen].sort()).toEqual([...made].sort());
    expect(seen[0] === made[0] && new Set(seen).size === 5).toBe(true);
    expect((await api.list(stranger)).data.map(({ name }) => name)).toEqual(['other']);
  });

  it('of another organisation cannot be told from none', async () => {
    const { id } = await api.create(caller, { name: 'acme', provider: 'github' });
    const unknown = { code: 'integration.not_found' };
    await expect(api.view(stranger, id)).rejects.toMatchObject(unknown);
    await expect(api.change(stranger, id, { name: 'mine' })).rejects.toMatchObject(unknown);
    await expect(api.remove(stranger, id)).rejects.toMatchObject(unknown);
    await expect(trial.verify(stranger, id, { headers: {}, body: '{}' })).rejects.toMatchObject(unknown);
  });

  it('count what they receive and refuse, over several processes', async () => {
    const { id, slug } = await api.create(caller, { name: 'acme', provider: 'github', secret: 'secret-1' });
    const writer = new CounterWriter(views.dataSource, server.counters);
    await receive(slug, 'secret-1', 'one');
    await receive(slug, 'secret-1', 'one');
    await receive(slug, 'wrong');
    await writer.flush();
    server.clock.advance(1000);
    await receive(slug, 'secret-1', 'two');
    await receive(slug, 'wrong');
    await writer.flush();
    await writer.onApplicationShutdown();
    expect(await api.view(caller, id)).toMatchObject({
      counts: { received: 2, duplicates: 1, retries: 0, refused: { signature_mismatch: 2 } },
      lastReceivedAt: '2026-11-20T13:14:16.123Z',
    });
  });

  it('lose no count when the database is away', async () => {
    const { id, slug } = await api.create(caller, { name: 'acme', provider: 'github' });
    await receive(slug, 'x');
    const away = { query: () => Promise.reject(new Error('away')) } as unknown as DataSource;
    await new CounterWriter(away, server.counters).flush();
    await receive(slug, 'x');
    await new CounterWriter(views.dataSource, server.counters).flush();
    expect((await api.view(caller, id)).counts.received).toBe(2);
  });
});

describe('the list of integrations', () => {
  it('is the same when everything is projected again', async () => {
    const { id } = await api.create(caller, { name: 'acme', provider: 'github', secret: 'secret-1' });
    await api.change(caller, id, { name: 'new', secret: 'secret-2', graceSeconds: 60 });
    const before = await api.view(caller, id);
    await follower.again(new IntegrationProjection(server.secrets));
    expect(await api.view(caller, id)).toEqual(before);
    await views.dataSource.query('truncate views.integrations');
    await follower.again(new IntegrationProjection(server.secrets));
    expect(await api.view(caller, id)).toEqual(before);
    expect([...server.secrets.kept.values()].sort()).toEqual(['secret-1', 'secret-2']);
  });
});

describe('trying a saved request', () => {
  const body = '{"ref":"refs/heads/main","repository":{"full_name":"acme/app"}}';

  it('says what it would become, and stores and counts nothing', async () => {
    const { id, slug } = await api.create(caller, { name: 'acme', provider: 'github', secret: 'secret-1' });
    await api.change(caller, id, { enabled: false });
    const before = await server.store.head();
    const headers = { ...githubHeaders('push', body, 'secret-1', 'd1'), 'Content-Type': 'application/json' };
    const answer = await trial.verify(caller, id, { headers, body });
    expect(answer).toMatchObject({
      accepted: true,
      status: 202,
      authentication: 'hmac-sha256',
      deliveryId: 'd1',
      duplicate: false,
      events: [
        {
          type: 'git.push',
          subject: 'repository/acme/app',
          data: { branch: 'main', payload: { ref: 'refs/heads/main' } },
        },
      ],
    });
    expect([await server.store.head(), server.counters.take()]).toEqual([before, []]);
    // And afterwards it becomes just that.
    await api.change(caller, id, { enabled: true });
    const rawBody = Buffer.from(body);
    const request = { headers, rawBody, query: {}, contentType: 'application/json', sourceIp: '' };
    const stored = await server.pipeline.receive(server.table.withSlug(slug)!, request);
    expect(stored).toMatchObject({ eventIds: [(answer.events as { id: string }[])[0]!.id] });
    expect(await trial.verify(caller, id, { headers, body })).toMatchObject({ duplicate: true });
  });

  it('says why it would be refused', async () => {
    const { id } = await api.create(caller, {
      name: 'acme',
      provider: 'github',
      secret: 'secret-1',
      allowedSources: ['10.0.0.1'],
    });
    const headers = githubHeaders('push', body, 'wrong');
    expect(await trial.verify(caller, id, { headers, body })).toEqual({
      accepted: false,
      status: 401,
      code: 'inbound.signature_mismatch',
      detail: expect.any(String),
    });
    expect(await trial.verify(caller, id, { headers, body, sourceIp: '10.0.0.2' })).toMatchObject({ status: 403 });
    expect(await trial.verify(caller, id, { headers, body: 'x'.repeat(1024 * 1024 + 1) })).toMatchObject({
      status: 413,
    });
  });

  it('takes an object as its JSON', async () => {
    const { id } = await api.create(caller, { name: 'acme', provider: 'generic_webhook' });
    expect(await trial.verify(caller, id, { headers: {}, body: { type: 'alert' } })).toMatchObject({
      accepted: true,
      authentication: 'slug',
      deliveryId: null,
      events: [{ type: 'webhook.received', data: { eventType: 'alert' } }],
    });
  });
});
