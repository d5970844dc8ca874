import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { EvolveContext } from '#libs/event-store/src/command-handlers.js';
import type { EventDraft } from '#libs/event-store/src/new-event.js';

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
  type Integration,
  integration,
  remove,
  rotateSecret,
  secretReferences,
  update,
} from './integration.js';

const ID = 'int_1';
const AUTHOR = { orgId: 'org_1', actor: 'token/tok_1' };
const STRANGER = { orgId: 'org_2', actor: 'token/tok_2' };
const NOW = new Date('2026-11-20T12:00:00.000Z');
const SETTINGS = { name: 'acme', config: {} };

const creation = (more: { settings?: object; secret?: string } = {}) =>
  new CreateIntegration(ID, AUTHOR, 'github', 'wh_slug', { ...SETTINGS, ...more.settings }, more.secret);

/** The state after what was decided. */
const after = (state: Integration, drafts: readonly EventDraft[]): Integration =>
  drafts.reduce<Integration>((before, { type, data }) => {
    const context = { revision: 0n, metadata: { orgId: AUTHOR.orgId } } as EvolveContext;
    return integration.evolve[type as keyof typeof integration.evolve](before, data as never, context);
  }, state);

const unknown: Integration = { kind: 'unknown' };
const active = after(unknown, create(unknown, creation({ secret: 'ref/1' })));
const disabled = after(active, disable(active, new DisableIntegration(ID, AUTHOR)));
const deleted = after(active, remove(active, new DeleteIntegration(ID, AUTHOR)));

describe('creating an integration', () => {
  it('records what was given, with a reference in place of the secret', () => {
    expect(create(unknown, creation({ secret: 'ref/1', settings: { allowedSources: ['10.0.0.0/8'] } }))).toEqual([
      {
        type: 'integration.created',
        data: {
          integrationId: ID,
          provider: 'github',
          slug: 'wh_slug',
          secret: 'ref/1',
          name: 'acme',
          config: {},
          allowedSources: ['10.0.0.0/8'],
        },
      },
    ]);
    expect(active).toMatchObject({ kind: 'active', orgId: 'org_1', secret: 'ref/1', previous: [], settings: SETTINGS });
  });

  it('again finds it as it was made, slug and all', () => {
    const again = new CreateIntegration(ID, AUTHOR, 'github', 'wh_another', SETTINGS, 'ref/1');
    expect(create(active, again)).toEqual([]);
    expect(create(disabled, again)).toEqual([]);
  });

  it('under a key that made something else is refused', () => {
    const other = new CreateIntegration(ID, AUTHOR, 'github', 'wh_x', { ...SETTINGS, name: 'other' });
    expect(() => create(active, other)).toThrow(expect.objectContaining({ code: 'integration.exists' }));
    expect(() => create(deleted, creation())).toThrow(expect.objectContaining({ code: 'integration.deleted' }));
  });
});

describe('changing settings', () => {
  it('says all of them as they are then', () => {
    const [draft, ...more] = update(
      active,
      new UpdateIntegration(ID, AUTHOR, { name: 'new', rateLimit: { limit: 1, perMs: 1000 } }, []),
    );
    expect(more).toEqual([]);
    expect(draft).toEqual({
      type: 'integration.updated',
      data: { integrationId: ID, name: 'new', config: {}, rateLimit: { limit: 1, perMs: 1000 } },
    });
    expect(after(active, [draft!])).toMatchObject({ kind: 'active', secret: 'ref/1', slug: 'wh_slug' });
  });

  it('takes settings away', () => {
    const limited = after(
      active,
      update(active, new UpdateIntegration(ID, AUTHOR, { rateLimit: { limit: 1, perMs: 1000 } }, [])),
    );
    expect(after(limited, update(limited, new UpdateIntegration(ID, AUTHOR, {}, ['rateLimit'])))).toEqual(active);
  });

  it('to what they are records nothing', () => {
    expect(update(active, new UpdateIntegration(ID, AUTHOR, { ...SETTINGS }, ['customPath']))).toEqual([]);
  });
});

describe('rotating the secret', () => {
  const rotate = (state: Integration, secret: string | undefined, grace: number, now = NOW) =>
    after(state, rotateSecret(state, new RotateSecret(ID, AUTHOR, secret, grace), now));

  it('keeps the one before for its grace', () => {
    expect(rotate(active, 'ref/2', 60)).toMatchObject({
      secret: 'ref/2',
      previous: [{ secret: 'ref/1', validUntil: '2026-11-20T12:01:00.000Z' }],
    });
  });

  it('without grace ends every secret from before', () => {
    const twice = rotate(active, 'ref/2', 3600);
    expect(rotate(twice, 'ref/3', 0)).toMatchObject({ secret: 'ref/3', previous: [] });
  });

  it('lets go of those whose grace is over, and of all but three', () => {
    const later = (minutes: number) => new Date(NOW.getTime() + minutes * 60_000);
    const twice = rotate(rotate(active, 'ref/2', 60), 'ref/3', 60, later(5));
    expect(twice).toMatchObject({ previous: [{ secret: 'ref/2' }] });
    let state = active;
    for (let n = 2; n < 9; n++) state = rotate(state, `ref/${n}`, 3600);
    expect(secretReferences(state)).toEqual(['ref/8', 'ref/7', 'ref/6', 'ref/5']);
  });

  it('may take it away, so that the slug alone authenticates', () => {
    const open = rotate(active, undefined, 0);
    expect(open).not.toHaveProperty('secret');
    expect(rotate(open, 'ref/2', 60)).toMatchObject({ secret: 'ref/2', previous: [] });
  });
});

describe('enabling, disabling, deleting', () => {
  it('does nothing the second time', () => {
    expect(enable(active, new EnableIntegration(ID, AUTHOR))).toEqual([]);
    expect(disable(disabled, new DisableIntegration(ID, AUTHOR))).toEqual([]);
    expect(remove(deleted, new DeleteIntegration(ID, AUTHOR))).toEqual([]);
    expect(after(disabled, enable(disabled, new EnableIntegration(ID, AUTHOR)))).toEqual(active);
  });

  it('is final when it is deleted', () => {
    for (const decide of [
      () => enable(deleted, new EnableIntegration(ID, AUTHOR)),
      () => disable(deleted, new DisableIntegration(ID, AUTHOR)),
      () => update(deleted, new UpdateIntegration(ID, AUTHOR, { name: 'x' }, [])),
      () => rotateSecret(deleted, new RotateSecret(ID, AUTHOR, 'ref/2', 0), NOW),
    ])
      expect(decide).toThrow(expect.objectContaining({ code: 'integration.not_found' }));
    expect(secretReferences(deleted)).toEqual([]);
  });

  it('is not for another organisation, which cannot tell it from one that does not exist', () => {
    for (const decide of [
      () => enable(disabled, new EnableIntegration(ID, STRANGER)),
      () => disable(active, new DisableIntegration(ID, STRANGER)),
      () => update(active, new UpdateIntegration(ID, STRANGER, { name: 'x' }, [])),
      () => rotateSecret(active, new RotateSecret(ID, STRANGER, 'ref/2', 0), NOW),
      () => remove(active, new DeleteIntegration(ID, STRANGER)),
      () => remove(unknown, new DeleteIntegration(ID, STRANGER)),
    ])
      expect(decide).toThrow(expect.objectContaining({ code: 'integration.not_found' }));
  });
});

describe('an integration', () => {
  it('survives any order of its events', () => {
    const event = fc.constantFrom<EventDraft>(
      ...create(unknown, creation({ secret: 'ref/1' })),
      ...update(active, new UpdateIntegration(ID, AUTHOR, { name: 'x' }, [])),
      ...rotateSecret(active, new RotateSecret(ID, AUTHOR, 'ref/2', 60), NOW),
      ...disable(active, new DisableIntegration(ID, AUTHOR)),
      ...enable(disabled, new EnableIntegration(ID, AUTHOR)),
      ...remove(active, new DeleteIntegration(ID, AUTHOR)),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 12 }), (events) => {
        expect(['unknown', 'active', 'disabled', 'deleted']).toContain(after(unknown, events).kind);
      }),
    );
  });
});
