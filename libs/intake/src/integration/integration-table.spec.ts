import { beforeEach, describe, expect, it } from '@jest/globals';

import { streams } from '#libs/events/src/streams.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { AUTHOR, InboundServer, NOW } from '../../testing/inbound-server.js';
import {
  DeleteIntegration,
  DisableIntegration,
  EnableIntegration,
  RotateSecret,
  UpdateIntegration,
  disable,
  enable,
  remove,
  rotateSecret,
  update,
} from './integration.js';
import { validSecrets } from './integration.table.js';

describe('the table of integrations', () => {
  let server: InboundServer;
  beforeEach(() => {
    server = new InboundServer([]);
  });

  it('finds one by slug, id and path, with its secret in plain text', async () => {
    const { id, slug } = await server.integration('github', { secret: 'secret-1', customPath: 'acme' });
    const receiver = server.table.withSlug(slug);
    expect(receiver).toMatchObject({ id, provider: 'github', secrets: ['secret-1'] });
    expect(server.table.withId(id)).toBe(receiver);
    expect(server.table.withPath('acme')).toBe(receiver);
    expect(server.table.ownerOfPath('acme')).toBe(id);
  });

  it('finds nothing while it is disabled or when it is deleted, and knows it for trying out', async () => {
    const { id, slug } = await server.integration('github', { customPath: 'acme' });
    await server.run(new DisableIntegration(id, AUTHOR), disable);
    expect([server.table.withSlug(slug), server.table.withId(id), server.table.withPath('acme')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(await server.table.receiver(AUTHOR.orgId, id)).toMatchObject({ slug });
    expect(await server.table.receiver('org_2', id)).toBeUndefined();
    await server.run(new EnableIntegration(id, AUTHOR), enable);
    expect(server.table.withSlug(slug)).toBeDefined();
    await server.run(new DeleteIntegration(id, AUTHOR), remove);
    expect(server.table.withSlug(slug)).toBeUndefined();
    expect(server.table.ownerOfPath('acme')).toBeUndefined();
    expect(await server.table.receiver(AUTHOR.orgId, id)).toBeUndefined();
  });

  it('follows a path that moves', async () => {
    const { id } = await server.integration('github', { customPath: 'old' });
    await server.run(new UpdateIntegration(id, AUTHOR, { customPath: 'new' }, []), update);
    expect(server.table.withPath('old')).toBeUndefined();
    expect(server.table.withPath('new')?.id).toBe(id);
  });

  it('refuses a path that another has, until that one is deleted', async () => {
    const { id } = await server.integration('github', { customPath: 'same' });
    const taken = { kind: 'conflict', code: 'integration.path_taken' };
    await expect(server.integration('github', { customPath: 'same' })).rejects.toMatchObject(taken);
    await server.run(new DeleteIntegration(id, AUTHOR), remove);
    const next = await server.integration('github', { customPath: 'same' });
    expect(server.table.withPath('same')?.id).toBe(next.id);
  });

  it('gives a path that an earlier version gave to two to the first', async () => {
    const first = await server.integration('github', { customPath: 'same' });
    const created = (await server.store.readStream(streams.integration(first.id)))[0]!;
    const data = { ...(created.data as object), integrationId: 'int_second', slug: 'wh_second' };
    const second = { id: uuid7(), type: created.type, data: JSON.stringify(data), metadata: created.metadataJson };
    await server.store.append(streams.integration('int_second'), [second], 'no-stream');
    await server.see();
    expect(server.table.withSlug('wh_second')).toBeDefined();
    expect(server.table.withPath('same')?.id).toBe(first.id);
  });

  it('accepts a secret from before until its grace is over, and the new one at once', async () => {
    const { id, slug } = await server.integration('github', { secret: 'secret-1' });
    await server.secrets.put(AUTHOR.orgId, 'ref/2', 'secret-2');
    await server.run(new RotateSecret(id, AUTHOR, 'ref/2', 60), rotateSecret);
    const receiver = server.table.withSlug(slug)!;
    const at = (seconds: number) => validSecrets(receiver, Date.parse(NOW) + seconds * 1000);
    expect(at(59)).toEqual(['secret-2', 'secret-1']);
    expect(at(60)).toEqual(['secret-2']);
  });

  it('does not receive at all where a configured secret is gone, rather than without asking for one', async () => {
    const { id, slug } = await server.integration('github', { secret: 'secret-1' });
    await server.secrets.remove([`${id}/secret/1`]);
    server.table.clear();
    const { events } = await server.store.readAll({ limit: 10 });
    for (const event of events) await server.table.apply(event);
    expect(server.table.withSlug(slug)).toBeUndefined();
  });

  it('has secret values of config in plain text, and leaves out those that are gone', async () => {
    await server.secrets.put(AUTHOR.orgId, 'ref/token', 'ghp_token');
    const config = { token: { $secret: 'ref/token' }, gone: { $secret: 'ref/gone' }, hookId: 7 };
    const { slug } = await server.integration('github', { config });
    expect(server.table.withSlug(slug)?.config).toEqual({ token: 'ghp_token', hookId: 7 });
  });
});
