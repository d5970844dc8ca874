import { beforeEach, describe, expect, it } from '@jest/globals';
import type { CommandBus } from '@nestjs/cqrs';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { execute, type ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { platformEvent } from '#libs/event-store/src/event-store.js';
import type { SecretAnswer } from '#libs/events/src/shapes/secret-shape.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { Transient } from '#libs/kernel/src/errors.js';

import { MemorySecrets } from '../../testing/memory-secrets.js';
import type { Caller } from '../caller.js';
import { ForgetSecrets } from './forget-secrets.subscriber.js';
import { NamedSecretController } from './named-secret.controller.js';
import { namedSecret, removeSecret, setSecret, SetSecret } from './named-secret.js';
import { NamedSecretTable } from './named-secret.table.js';
import { maskerOf, NamedSecretValues } from './secret-values.js';

const caller: Caller = { orgId: 'org_1', actor: 'token/tok_1', tokenId: 'tok_1', roles: ['designer'] };
const stranger: Caller = { ...caller, orgId: 'org_2' };

let clock: FixedClock;
let store: MemoryEventStore;
let secrets: MemorySecrets;
let table: NamedSecretTable;
let routes: NamedSecretController;
let values: NamedSecretValues;
beforeEach(() => {
  clock = new FixedClock('2026-11-20T13:00:00.000Z');
  store = new MemoryEventStore(() => clock.now());
  secrets = new MemorySecrets();
  table = new NamedSecretTable();
  values = new NamedSecretValues(store, secrets);
  const commands = {
    execute: (command: ThingCommand) =>
      execute(
        store,
        clock,
        namedSecret,
        (command instanceof SetSecret ? setSecret : removeSecret) as never,
        command as never,
      ),
  } as unknown as CommandBus;
  const progress = {
    whenProcessed: async () => {
      table.clear();
      for (const event of (await store.readAll({ limit: 1_000 })).events) table.apply(event);
    },
  };
  routes = new NamedSecretController(commands, progress, secrets, table);
});

const set = (name: string, value: string, by = caller) => routes.set(by, name, { value });
const events = async () => (await store.readAll({ limit: 1_000 })).events;
const forget = async () => new ForgetSecrets(store, secrets).handle(await events());
const valueOf = async (name: string, { orgId } = caller) => (await values.of(orgId, [name])).get(name);

describe('a secret', () => {
  it('is set, replaced and removed, and no answer and no event has its value', async () => {
    const created = await set('API_KEY', 'first value');
    expect(created).toEqual({
      name: 'API_KEY',
      createdAt: '2026-11-20T13:00:00.000Z',
      updatedAt: '2026-11-20T13:00:00.000Z',
    });
    clock.advance(3_600_000);
    expect(await set('API_KEY', 'second value')).toEqual({ ...created, updatedAt: '2026-11-20T14:00:00.000Z' });
    expect(await valueOf('API_KEY')).toBe('second value');
    expect(JSON.stringify((await events()).map(({ type, data }) => [type, data]))).not.toMatch(/first|second/);
    await routes.remove(caller, 'API_KEY');
    expect(routes.list(caller).data).toEqual([]);
    expect(await valueOf('API_KEY')).toBeUndefined();
    // Again: it is removed already.
    await routes.remove(caller, 'API_KEY');
    expect((await events()).map(({ type }) => type)).toEqual(['secret.set', 'secret.set', 'secret.removed']);
    expect(await set('API_KEY', 'third value')).toMatchObject({ name: 'API_KEY' });
    expect(await valueOf('API_KEY')).toBe('third value');
  });

  it('does not show where its value is kept', async () => {
    await set('API_KEY', 'first value');
    const [event] = await events();
    expect(event!.data).toHaveProperty('secret');
    expect(Object.keys(platformEvent(event!).data)).toEqual(['secretId', 'name']);
  });

  it('belongs to one organisation', async () => {
    await set('API_KEY', 'of the first');
    await set('API_KEY', 'of the second', stranger);
    expect([await valueOf('API_KEY'), await valueOf('API_KEY', stranger)]).toEqual(['of the first', 'of the second']);
    await routes.remove(stranger, 'API_KEY');
    expect(routes.list(caller).data).toHaveLength(1);
    expect(routes.list(stranger).data).toEqual([]);
    await expect(routes.remove({ ...caller, orgId: 'org_3' }, 'API_KEY')).rejects.toMatchObject({
      code: 'secret.not_found',
    });
  });

  it('keeps three replaced values and none of a removed secret, also when events are handled twice', async () => {
    for (const nth of [1, 2, 3, 4, 5]) await set('API_KEY', `value ${nth} of it`);
    await set('OTHER', 'other value');
    await forget();
    await forget();
    const all = () => [...secrets.kept.values()];
    expect(all()).toEqual([...[2, 3, 4, 5].map((nth) => `value ${nth} of it`), 'other value']);
    await routes.remove(caller, 'API_KEY');
    await forget();
    expect(all()).toEqual(['other value']);
    await set('API_KEY', 'value 6 of it');
    await forget();
    expect(all()).toEqual(['other value', 'value 6 of it']);
  });

  it('is masked with the values that it has replaced, since a service may still answer with them', async () => {
    await set('API_KEY', 'first value');
    await set('API_KEY', 'second value');
    await forget();
    const mask = maskerOf(await values.of(caller.orgId, ['API_KEY']));
    expect(mask.text('first value, second value, third value')).toBe('***, ***, third value');
    expect(maskerOf(new Map([['A', 'first value']])).text('first value')).toBe('***');
  });

  it('is looked up again where the value that was found is deleted between two looks', async () => {
    await set('API_KEY', 'first value');
    const get = secrets.get.bind(secrets);
    secrets.get = async (references) => {
      secrets.get = get;
      for (const nth of [2, 3, 4, 5]) await set('API_KEY', `value ${nth} of it`);
      await forget();
      return get(references);
    };
    expect(await valueOf('API_KEY')).toBe('value 5 of it');
  });

  it('is listed by name, page by page', async () => {
    for (const name of ['C', 'A', 'B']) await set(name, 'a value of it');
    const names = ({ data }: { data: readonly SecretAnswer[] }) => data.map(({ name }) => name);
    const first = routes.list(caller, '2');
    expect(names(first)).toEqual(['A', 'B']);
    const second = routes.list(caller, '2', first.nextCursor!);
    expect([names(second), second.nextCursor]).toEqual([['C'], null]);
    expect(() => routes.list(caller, '0')).toThrow('"limit" must be a whole number from 1 to 200.');
    table.incomplete = true;
    expect(() => routes.list(caller)).toThrow(Transient);
  });

  it.each(['api_key', '1KEY', 'A-B', '', 'A'.repeat(101)])('must not be named %j', async (name) => {
    await expect(set(name, 'long enough')).rejects.toMatchObject({ code: 'secret.bad_name' });
    expect(secrets.kept.size).toBe(0);
  });

  it.each([{}, { value: 'short' }, { value: 1 }, { value: 'x'.repeat(16_385) }, { value: 'long enough', name: 'A' }])(
    'must have a text of 8 to 16384 characters: %#',
    async (body) => {
      await expect(routes.set(caller, 'API_KEY', body)).rejects.toMatchObject({ code: 'request.invalid' });
      expect(secrets.kept.size).toBe(0);
    },
  );
});
