import { describe, expect, it } from '@jest/globals';

import { Rejected } from '#libs/kernel/src/errors.js';

import {
  CreateToken,
  InstallBootstrapToken,
  RevokeToken,
  UpdateToken,
  createToken,
  hashOf,
  installBootstrapToken,
  newTokenText,
  revokeToken,
  type Token,
  updateToken,
} from './token.js';

const author = { orgId: 'org_a', actor: 'token/tok_admin' };
const now = new Date('2026-11-20T12:00:00Z');
const hash = hashOf('mr_one');
const unknown: Token = { kind: 'unknown' };
const active = (createdAt: string, bootstrap = false): Token => {
  const settings = { name: 'ci', roles: ['integrator' as const], expiresAt: undefined };
  return { kind: 'active', hash, createdAt: new Date(createdAt), settings, bootstrap };
};
const create = (expiresAt?: Date) => new CreateToken('tok_1', author, 'ci', hash, ['integrator'], expiresAt);

const rejection = (work: () => unknown): Rejected => {
  try {
    work();
  } catch (error) {
    if (error instanceof Rejected) return error;
    throw error;
  }
  throw new Error('nothing was rejected');
};

describe('creating a token', () => {
  it('records its hash, roles and expiry, and never its text', () => {
    const expiresAt = new Date('2027-01-01T00:00:00Z');
    expect(createToken(unknown, create(expiresAt), now)).toEqual([
      {
        type: 'token.created',
        data: { tokenId: 'tok_1', name: 'ci', hash, roles: ['integrator'], expiresAt: '2027-01-01T00:00:00.000Z' },
      },
    ]);
  });

  it('is refused when it would never be valid, naming the field', () => {
    const { code, kind, problems } = rejection(() => createToken(unknown, create(now), now));
    expect({ code, kind }).toEqual({ code: 'token.expiry_past', kind: 'invalid' });
    expect(problems[0]?.pointer).toBe('/expiresAt');
  });

  it('again under the same id within a day replaces a token that nobody has seen', () => {
    expect(createToken(active('2026-11-20T11:59:00Z'), create(), now)).toHaveLength(1);
  });

  it('again under the same id after a day is refused: that token is in use', () => {
    expect(rejection(() => createToken(active('2026-11-19T11:00:00Z'), create(), now)).code).toBe('token.exists');
  });

  it('is refused under the id of a revoked token', () => {
    expect(rejection(() => createToken({ kind: 'revoked', by: 'token/tok_2' }, create(), now)).kind).toBe('conflict');
  });
});

describe('changing a token', () => {
  const before = active('2026-11-20T11:00:00Z');
  const change = (changes: UpdateToken['changes']) => new UpdateToken('tok_1', author, changes);

  it('records name, roles and expiry as they are then', () => {
    const expiresAt = new Date('2027-01-01T00:00:00Z');
    expect(updateToken(before, change({ name: 'deploys', roles: ['auditor'], expiresAt }), now)).toEqual([
      {
        type: 'token.updated',
        data: { tokenId: 'tok_1', name: 'deploys', roles: ['auditor'], expiresAt: '2027-01-01T00:00:00.000Z' },
      },
    ]);
  });

  it('leaves what is not given, and takes an expiry away', () => {
    const expiring: Token = { ...before, settings: { name: 'ci', roles: ['auditor'], expiresAt: now } } as Token;
    expect(updateToken(expiring, change({ expiresAt: undefined, name: 'x' }), now)).toEqual([
      { type: 'token.updated', data: { tokenId: 'tok_1', name: 'x', roles: ['auditor'] } },
    ]);
    // It has expired: it can still be renamed.
    expect(updateToken(expiring, change({ name: 'x' }), now)[0]?.data).toMatchObject({ expiresAt: now.toISOString() });
  });

  it('to what it is changes nothing', () => {
    expect(updateToken(before, change({ name: 'ci', roles: ['integrator'] }), now)).toEqual([]);
  });

  it('is refused for one that is revoked, unknown, or comes from the configuration, and for an expiry in the past', () => {
    expect(rejection(() => updateToken({ kind: 'revoked', by: 'x' }, change({}), now)).code).toBe('token.not_found');
    expect(rejection(() => updateToken(unknown, change({}), now)).code).toBe('token.not_found');
    const bootstrap = active('2026-11-20T11:00:00Z', true);
    expect(rejection(() => updateToken(bootstrap, change({ name: 'x' }), now)).code).toBe('token.bootstrap');
    expect(rejection(() => updateToken(before, change({ expiresAt: now }), now)).code).toBe('token.expiry_past');
  });
});

describe('revoking a token', () => {
  const revoke = new RevokeToken('tok_1', author);

  it('ends an active one', () => {
    expect(revokeToken(active('2026-11-20T11:00:00Z'), revoke)).toEqual([
      { type: 'token.revoked', data: { tokenId: 'tok_1' } },
    ]);
  });

  it('twice changes nothing', () => {
    expect(revokeToken({ kind: 'revoked', by: 'token/tok_2' }, revoke)).toEqual([]);
  });

  it('that does not exist is refused', () => {
    expect(rejection(() => revokeToken(unknown, revoke)).kind).toBe('not_found');
  });
});

describe('the bootstrap token', () => {
  const configured = new InstallBootstrapToken('tok_1', author, hash, 'configured');
  const generated = new InstallBootstrapToken('tok_1', author, hash, 'generated');

  it('is an admin and marked as what it is', () => {
    expect(installBootstrapToken(unknown, configured)).toEqual([
      { type: 'token.created', data: { tokenId: 'tok_1', name: 'bootstrap', hash, roles: ['admin'], bootstrap: true } },
    ]);
  });

  it('set again to the same text changes nothing', () => {
    expect(installBootstrapToken(active('2026-11-20T11:00:00Z'), configured)).toEqual([]);
  });

  it('set again after another one replaced it is valid again, and not after a person revoked it', () => {
    expect(installBootstrapToken({ kind: 'revoked', by: 'millrace' }, configured)).toHaveLength(1);
    expect(installBootstrapToken({ kind: 'revoked', by: 'token/tok_2' }, configured)).toEqual([]);
  });

  it('is generated only where there never was one: not after it was revoked on purpose', () => {
    expect(installBootstrapToken(unknown, generated)).toHaveLength(1);
    expect(installBootstrapToken({ kind: 'revoked', by: 'token/tok_2' }, generated)).toEqual([]);
    expect(installBootstrapToken({ ...active('2026-11-20T11:00:00Z'), hash: 'other' } as Token, generated)).toEqual([]);
  });
});

describe('the text of a token', () => {
  it('is mr_ and 43 characters that a header can hold, never twice the same', () => {
    const texts = Array.from({ length: 100 }, newTokenText);
    for (const text of texts) expect(text).toMatch(/^mr_[A-Za-z0-9_-]{43}$/);
    expect(new Set(texts).size).toBe(100);
  });
});
