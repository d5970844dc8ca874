import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { DECORATORS } from '@nestjs/swagger';

import { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { PUBLIC, ROLES } from '../caller.controller.js';
import type { Caller, Role } from '../caller.js';
import { Organisations } from '../organisations.js';
import { checkQuery, type DescribedParameter } from '../query-parameters.js';
import { authenticate } from './authenticate.js';
import { TokenTable } from './token.table.js';
import { TokenUse } from './token-use.adapter.js';

interface Request {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly query?: object;
  caller?: Caller;
}

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/**
 * Authenticates and authorises every route, and refuses query parameters and values that its description does not have. Public routes
 * accept any: senders and probes add what they like. Asks memory only.
 */
@Injectable()
export class TokenGuard implements CanActivate {
  constructor(
    @Inject(Reflector) private readonly reflector: Reflector,
    @Inject(TokenTable) private readonly tokens: TokenTable,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(TokenUse) private readonly uses: Pick<TokenUse, 'used'>,
    @Inject(Organisations) private readonly organisations: Organisations,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const marked = [context.getHandler(), context.getClass()];
    if (this.reflector.getAllAndOverride<boolean | undefined>(PUBLIC, marked)) return true;
    const request = context.switchToHttp().getRequest<Request>();
    request.caller = this.callerOf(request);
    const roles = this.reflector.getAllAndOverride<readonly Role[] | undefined>(ROLES, marked);
    if (roles) requireRole(request.caller, roles);
    const described = this.reflector.get<readonly DescribedParameter[] | undefined>(
      DECORATORS.API_PARAMETERS,
      context.getHandler(),
    );
    checkQuery(request.query ?? {}, described ?? []);
    return true;
  }

  private callerOf({ headers }: Request): Caller {
    const now = this.clock.now();
    const token = authenticate(headers, this.tokens, now);
    if (this.organisations.isArchived(token.orgId))
      throw new Rejected(
        'forbidden',
        'organisation.archived',
        'This organisation is archived. An admin of the installation can restore it.',
      );
    this.uses.used(token.id, now);
    const idempotencyKey = headers['idempotency-key'];
    if (idempotencyKey !== undefined && (typeof idempotencyKey !== 'string' || !IDEMPOTENCY_KEY.test(idempotencyKey)))
      throw new Rejected(
        'invalid',
        'idempotency.key_malformed',
        'Idempotency-Key must be 1 to 255 visible ASCII characters without spaces, such as a UUID.',
      );
    return {
      tokenId: token.id,
      orgId: token.orgId,
      actor: `token/${token.id}`,
      roles: token.roles,
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    };
  }
}

function requireRole(caller: Caller, roles: readonly Role[]): void {
  if (caller.roles.some((role) => role === 'admin' || roles.includes(role))) return;
  const needed = roles.includes('admin') ? roles : [...roles, 'admin'];
  throw new Rejected(
    'forbidden',
    'token.role_missing',
    `This needs a token with the role ${needed.join(' or ')}; yours has ${caller.roles.join(', ')}.`,
  );
}
