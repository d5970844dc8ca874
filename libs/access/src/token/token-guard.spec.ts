import 'reflect-metadata';

import { beforeEach, describe, expect, it } from '@jest/globals';
import type { ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiParam, ApiQuery } from '@nestjs/swagger';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { Rejected, Transient } from '#libs/kernel/src/errors.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import type { Caller, Role } from '../caller.js';
import { Public, Roles } from '../caller.controller.js';
import { hashOf } from './token.js';
import { TokenController } from './token.controller.js';
import { TokenGuard } from './token-guard.adapter.js';
import { TokenTable } from './token.table.js';

class Routes {
  @Public()
  open() {
    return 1;
  }
  any() {
    return 2;
  }
  @Roles('designer', 'integrator')
  some() {
    return 3;
  }
  @ApiParam({ name: 'id' })
  @ApiQuery({ name: 'status', required: false })
  @ApiQuery({ name: 'limit', required: false })
  listed() {
    return 5;
  }
  @ApiQuery({ name: 'status', required: false, enum: ['pending', 'failed'] })
  filtered() {
    return 6;
  }
}

@Roles('admin')
class AdminRoutes {
  all() {
    return 4;
  }
}

interface Request {
  headers: Record<string, string>;
  query: Record<string, string>;
  caller?: Caller;
}

describe('the guard before every route', () => {
  const clock = new FixedClock('2026-11-20T12:00:00Z');
  const archived = new Set<string>();
  let table: TokenTable;
  let guard: TokenGuard;
  let used: string[];
  beforeEach(async () => {
    const store = new MemoryEventStore();
    const give = async (text: string, roles: Role[], expiresAt?: string) => {
      const data = { tokenId: `tok_${text}`, name: text, hash: hashOf(text), roles, ...(expiresAt && { expiresAt }) };
      const context = { id: uuid7(), orgId: 'org_a', actor: 'millrace', now: clock.now() };
      await store.append(streams.token(text), [newEvent({ type: 'token.created', data }, context)], 'no-stream');
    };
    await give('mr_admin', ['admin']);
    await give('mr_designer', ['designer']);
    await give('mr_auditor', ['auditor']);
    await give('mr_old', ['admin'], '2026-11-20T12:00:00.000Z');
    await give('mr_soon', ['admin'], '2026-11-20T12:00:00.001Z');
    table = new TokenTable();
    for (const event of (await store.readAll({ limit: 10 })).events) table.apply(event);
    used = [];
    guard = new TokenGuard(
      new Reflector(),
      table,
      clock,
      { used: (id) => void used.push(id) },
      {
        isArchived: (orgId) => archived.has(orgId),
      },
    );
    archived.clear();
  });

  const ask = (
    [of, handler]: readonly [typeof Routes | typeof AdminRoutes, () => unknown],
    headers: Record<string, string> = {},
    query: Record<string, string> = {},
  ) => {
    const request: Request = { headers, query };
    const context = {
      getHandler: () => handler,
      getClass: () => of,
      switchToHttp: () => ({ getRequest: () => request }),
    } as unknown as ExecutionContext;
    try {
      return { passed: guard.canActivate(context), caller: request.caller };
    } catch (error) {
      if (error instanceof Rejected)
        return { kind: error.kind, code: error.code, message: error.message, problems: error.problems };
      throw error;
    }
  };
  const open = [Routes, Routes.prototype.open] as const;
  const any = [Routes, Routes.prototype.any] as const;
  const some = [Routes, Routes.prototype.some] as const;
  const admins = [AdminRoutes, AdminRoutes.prototype.all] as const;
  const listed = [Routes, Routes.prototype.listed] as const;
  const filtered = [Routes, Routes.prototype.filtered] as const;
  const bearer = (text: string) => ({ authorization: `Bearer ${text}` });

  it('lets everybody through where a route is public, and asks for no token', () => {
    expect(ask(open)).toEqual({ passed: true, caller: undefined });
    expect(ask(open, bearer('mr_wrong'))).toEqual({ passed: true, caller: undefined });
  });

  it.each([
    {},
    { authorization: '' },
    { authorization: 'Bearer' },
    { authorization: 'Basic bXI6bXI=' },
    { authorization: 'mr_admin' },
  ])('asks for a token where there is none: %j', (headers) => {
    expect(ask(any, headers as Record<string, string>)).toMatchObject({
      kind: 'unauthenticated',
      code: 'token.missing',
    });
  });

  it('notes that a token was used, and no other', () => {
    ask(any, bearer('mr_wrong'));
    ask(any, bearer('mr_auditor'));
    expect(used).toEqual(['tok_mr_auditor']);
  });

  it('refuses the tokens of an archived organisation, and does not count the use', () => {
    archived.add('org_a');
    expect(ask(any, bearer('mr_auditor'))).toMatchObject({ kind: 'forbidden', code: 'organisation.archived' });
    expect(ask(open, bearer('mr_auditor'))).toMatchObject({ passed: true });
    expect(used).toEqual([]);
  });

  it('refuses a token that is not known, and does not repeat it', () => {
    const answer = ask(any, bearer('mr_wrong'));
    expect(answer).toMatchObject({ kind: 'unauthenticated', code: 'token.unknown' });
    expect(JSON.stringify(answer)).not.toContain('mr_wrong');
  });

  it('asks to try again, and never calls a token unknown, while the table of tokens is incomplete', async () => {
    const caller = { tokenId: 'tok_mr_admin', orgId: 'org_a', actor: 'token/tok_mr_admin', roles: ['admin'] as const };
    const routes = new TokenController({} as never, table, {} as never, clock, {} as never, {} as never);
    table.incomplete = true;
    expect(() => ask(any, bearer('mr_wrong'))).toThrow(Transient);
    await expect(routes.view(caller, 'tok_new')).rejects.toThrow(Transient);
    expect(ask(any, bearer('mr_auditor'))).toMatchObject({ passed: true });
    table.incomplete = false;
    await expect(routes.view(caller, 'tok_new')).rejects.toThrow(Rejected);
  });

  it.each([
    [listed, 'statsu', 'Unknown query parameter "statsu". Did you mean "status"? Allowed: limit, status.'],
    [listed, 'id', 'Unknown query parameter "id". Allowed: limit, status.'],
    [listed, 'Limit', 'Unknown query parameter "Limit". Did you mean "limit"? Allowed: limit, status.'],
    [any, 'status', 'Unknown query parameter "status". Allowed: none.'],
  ])('refuses a query parameter that the description of the route does not have: %# %s', (route, name, message) => {
    const answer = ask(route, bearer('mr_auditor'), { [name]: '1' });
    expect(answer).toMatchObject({
      kind: 'invalid',
      code: 'query.invalid',
      problems: [{ pointer: `/${name}`, detail: message }],
    });
  });

  it('refuses a value that the description of the route does not have', () => {
    expect(ask(filtered, bearer('mr_auditor'), { status: 'faild' })).toMatchObject({
      kind: 'invalid',
      code: 'query.invalid',
      problems: [
        {
          pointer: '/status',
          code: 'query.unknown_value',
          detail: 'Must be one of pending, failed. Did you mean "failed"?',
        },
      ],
    });
    for (const status of ['failed', ''])
      expect(ask(filtered, bearer('mr_auditor'), { status })).toMatchObject({ passed: true });
  });

  it('accepts those that it has, and any where a route is public', () => {
    expect(ask(listed, bearer('mr_auditor'), { status: 'x', limit: '1' })).toMatchObject({ passed: true });
    expect(ask(open, {}, { utm_source: 'x' })).toMatchObject({ passed: true });
  });

  it('refuses a token from the very moment it expires', () => {
    expect(ask(any, bearer('mr_old'))).toMatchObject({ kind: 'unauthenticated', code: 'token.expired' });
    expect(ask(any, bearer('mr_soon'))).toMatchObject({ passed: true });
  });

  it('tells the route who is calling', () => {
    expect(ask(any, { ...bearer('mr_auditor'), 'idempotency-key': 'k-1' })).toEqual({
      passed: true,
      caller: {
        tokenId: 'tok_mr_auditor',
        orgId: 'org_a',
        actor: 'token/tok_mr_auditor',
        roles: ['auditor'],
        idempotencyKey: 'k-1',
      },
    });
  });

  it('takes the scheme in any case and any number of blanks', () => {
    expect(ask(any, { authorization: 'bearer   mr_admin ' })).toMatchObject({ passed: true });
  });

  it('lets through who has one of the roles, and every admin', () => {
    expect(ask(some, bearer('mr_designer'))).toMatchObject({ passed: true });
    expect(ask(some, bearer('mr_admin'))).toMatchObject({ passed: true });
    expect(ask(some, bearer('mr_auditor'))).toMatchObject({ kind: 'forbidden', code: 'token.role_missing' });
  });

  it('says which role is needed and which there is', () => {
    expect(ask(some, bearer('mr_auditor'))).toMatchObject({
      message: 'This needs a token with the role designer or integrator or admin; yours has auditor.',
    });
  });

  it('holds the roles of a whole controller against each of its routes', () => {
    expect(ask(admins, bearer('mr_designer'))).toMatchObject({ kind: 'forbidden' });
    expect(ask(admins, bearer('mr_admin'))).toMatchObject({ passed: true });
  });

  it.each(['', 'a b', 'x'.repeat(256), 'ä'])('refuses the Idempotency-Key %j', (key) => {
    expect(ask(any, { ...bearer('mr_admin'), 'idempotency-key': key })).toMatchObject({
      kind: 'invalid',
      code: 'idempotency.key_malformed',
    });
  });
});
