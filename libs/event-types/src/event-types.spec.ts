import { beforeEach, describe, expect, it } from '@jest/globals';
import type { CommandBus } from '@nestjs/cqrs';
import fc from 'fast-check';

import type { Caller } from '#libs/access/src/caller.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { execute, type ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { catalogue } from '#libs/events/src/catalogue.js';
import { FixedClock } from '#libs/kernel/src/clock.js';

import { EventTypeController } from './event-type.controller.js';
import { dataProblems, schemaProblems } from './own-schema.js';
import { archiveEventType, ownType, reservedName, SaveEventType, saveEventType } from './own-type.js';
import { OwnTypeTable } from './own-type.table.js';

const caller: Caller = { orgId: 'org_1', actor: 'token/tok_1', tokenId: 'tok_1', roles: ['designer'] };
const stranger: Caller = { ...caller, orgId: 'org_2' };
const schema = {
  type: 'object',
  required: ['developer_id'],
  properties: { developer_id: { type: 'string', pattern: '^dev_' }, email: { type: 'string', format: 'email' } },
  additionalProperties: false,
};
const ADDED = {
  type: 'developer.added',
  description: 'A new developer was added.',
  schema,
  example: { developer_id: 'dev_456', email: 'jane@example.com' },
};
const { type: _, ...CONTENT } = ADDED;

let store: MemoryEventStore;
let routes: EventTypeController;
beforeEach(() => {
  const clock = new FixedClock('2026-11-20T13:00:00.000Z');
  store = new MemoryEventStore(() => clock.now());
  const table = new OwnTypeTable();
  const commands = {
    execute: (command: ThingCommand) => {
      const decide = command instanceof SaveEventType ? saveEventType : archiveEventType;
      return execute(store, clock, ownType, decide as never, command as never);
    },
  } as unknown as CommandBus;
  const progress = {
    whenProcessed: async () => {
      table.clear();
      for (const event of (await store.readAll({ limit: 1_000 })).events) table.apply(event);
    },
  };
  routes = new EventTypeController(commands, progress, store, table);
});
const own = (by = caller) => routes.list(by).data.filter(({ builtIn }) => !builtIn);
const types = async () => (await store.readAll({ limit: 1_000 })).events.map(({ type }) => type);

describe('an event type of an organisation', () => {
  it('is listed among the built-in ones, by name, and no other organisation has it', async () => {
    const created = await routes.create(caller, ADDED);
    expect(created).toEqual({
      ...ADDED,
      builtIn: false,
      system: false,
      version: 1,
      archived: false,
      personal: null,
      updatedAt: '2026-11-20T13:00:00.000Z',
    });
    const names = routes.list(caller).data.map(({ type }) => type);
    expect(names).toEqual([...names].sort());
    expect(names).toHaveLength(Object.keys(catalogue).length + 1);
    expect(own(stranger)).toEqual([]);
    expect(routes.view(caller, 'developer.added')).toEqual(created);
    expect(routes.view(caller, 'git.push')).toMatchObject({ builtIn: true, version: 1 });
    expect(() => routes.view(stranger, 'developer.added')).toThrow('There is no event type developer.added');
  });

  it('says which fields are personal; a path that leads nowhere is refused with its place', async () => {
    const personal = [{ subject: 'data.developer_id', fields: ['data.email'] }];
    expect(await routes.create(caller, { ...ADDED, personal })).toMatchObject({ personal });
    expect(routes.view(caller, 'developer.added')).toMatchObject({ personal });
    const wrong = [{ subject: 'data.developer_id', fields: ['email'] }];
    await expect(routes.update(caller, 'developer.added', { ...CONTENT, personal: wrong })).rejects.toMatchObject({
      problems: [{ pointer: '/personal/0/fields/0', detail: expect.stringContaining('Must begin with "data."') }],
    });
  });

  it('is listed page by page where that is asked for', async () => {
    await routes.create(caller, ADDED);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = routes.list(caller, '20', cursor);
      expect(page.data.length).toBeLessThanOrEqual(20);
      seen.push(...page.data.map(({ type }) => type));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toEqual(routes.list(caller).data.map(({ type }) => type));
  });

  it('is created once: the same again changes nothing, another of the name is refused', async () => {
    await routes.create(caller, ADDED);
    expect(await routes.create(caller, ADDED)).toMatchObject({ version: 1 });
    await expect(routes.create(caller, { ...ADDED, description: 'Other.' })).rejects.toMatchObject({
      code: 'event_type.exists',
    });
    expect(await types()).toEqual(['event_type.saved']);
  });

  it('has versions, all of which are kept', async () => {
    await routes.create(caller, ADDED);
    const next = { ...CONTENT, description: 'Second.' };
    expect(await routes.update(caller, 'developer.added', next)).toMatchObject({ version: 2, description: 'Second.' });
    expect(await routes.update(caller, 'developer.added', next)).toMatchObject({ version: 2 });
    const { data } = await routes.versions(caller, 'developer.added');
    expect(data.map(({ version, description }) => [version, description])).toEqual([
      [2, 'Second.'],
      [1, ADDED.description],
    ]);
    await expect(routes.update(caller, 'developer.gone', CONTENT)).rejects.toMatchObject({
      code: 'event_type.not_found',
    });
    await expect(routes.versions(stranger, 'developer.added')).rejects.toMatchObject({ code: 'event_type.not_found' });
  });

  it('is archived, never deleted, and restored by saving it', async () => {
    await routes.create(caller, ADDED);
    expect(await routes.archive(caller, 'developer.added')).toMatchObject({ archived: true, version: 1 });
    await routes.archive(caller, 'developer.added');
    expect(await types()).toEqual(['event_type.saved', 'event_type.archived']);
    expect(await routes.create(caller, ADDED)).toMatchObject({ archived: false, version: 1 });
    expect((await routes.versions(caller, 'developer.added')).data).toHaveLength(1);
    await expect(routes.archive(stranger, 'developer.added')).rejects.toMatchObject({ code: 'event_type.not_found' });
  });

  it.each(['git.push', 'webhook.mine', 'rule.mine', 'token.mine', 'secret.mine', 'event_type.mine', 'run.mine'])(
    'must not be named %s, which belongs to Millrace',
    async (type) => {
      await expect(routes.create(caller, { ...ADDED, type })).rejects.toMatchObject({
        code: 'event_type.invalid',
        problems: [{ pointer: '/type' }],
      });
      expect(reservedName(type)).toBeDefined();
    },
  );

  it.each(['developer', 'Developer.added', 'developer..added', 'developer.added!', `a.${'b'.repeat(100)}`])(
    'must not be named %s, which no type is',
    async (type) => {
      await expect(routes.create(caller, { ...ADDED, type })).rejects.toMatchObject({ code: 'request.invalid' });
    },
  );

  it('has an example that fits, with the place where it does not', async () => {
    await expect(routes.create(caller, { ...ADDED, example: { developer_id: 'x', mail: 1 } })).rejects.toMatchObject({
      code: 'event_type.invalid',
      problems: [{ pointer: '/example/mail' }, { pointer: '/example/developer_id' }],
    });
  });
});

describe('the schema of an event type', () => {
  const problems = (given: object) => schemaProblems({ type: 'object', ...given }, {}).map(({ pointer }) => pointer);

  it.each([
    ['a keyword with a wrong value', { properties: { a: { type: 'strin' } } }, '/schema/properties/a/type'],
    ['a list', { type: 'array' }, '/schema/type'],
    ['another document', { properties: { a: { $ref: 'https://example.com/schema' } } }, '/schema'],
    ['a pattern that is none', { properties: { a: { pattern: '(' } } }, '/schema'],
  ])('is refused with %s', (__, given, pointer) => {
    expect(problems(given)).toContain(pointer);
  });

  it('is refused where it is too large or too deep', () => {
    expect(problems({ description: 'x'.repeat(70_000) })).toEqual(['/schema']);
    const deep = Array.from({ length: 40 }).reduce<object>((inner) => ({ properties: { a: inner } }), {});
    expect(problems(deep)).toEqual(['/schema']);
  });

  it('is one of 2020-12, with references within it', () => {
    const given = {
      type: 'object',
      $defs: { point: { type: 'array', prefixItems: [{ type: 'number' }, { type: 'number' }], items: false } },
      properties: { at: { $ref: '#/$defs/point' } },
    };
    expect(schemaProblems(given, { at: [1, 2] })).toEqual([]);
    expect(dataProblems(given, { at: [1, 2, 3] })).not.toEqual([]);
  });

  it('looks for patterns in linear time', () => {
    const given = { type: 'object', properties: { a: { type: 'string', pattern: '^(a+)+$' } } };
    expect(schemaProblems(given, { a: 'aaa' })).toEqual([]);
    // Backtracking would not end here in the lifetime of the machine.
    expect(dataProblems(given, { a: `${'a'.repeat(5_000)}!` })).toHaveLength(1);
  });

  it('keeps those of two organisations apart that have one $id', () => {
    const one = { $id: 'https://example.com/a', type: 'object', properties: { a: { type: 'string' } } };
    const other = { ...one, properties: { a: { type: 'number' } } };
    expect(schemaProblems(one, { a: 'x' })).toEqual([]);
    expect(schemaProblems(other, { a: 1 })).toEqual([]);
    expect(dataProblems(one, { a: 1 })).toHaveLength(1);
  });

  it('never throws, whatever it is', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue(), (given, example) => {
        expect(Array.isArray(schemaProblems({ ...given, type: 'object' }, example))).toBe(true);
      }),
    );
  });
});
