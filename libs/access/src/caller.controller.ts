import { applyDecorators, createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import { ApiExtension } from '@nestjs/swagger';

import type { Caller, Role } from './caller.js';

/** Metadata keys that the guard reads. */
export const ROLES = 'millrace:roles';
export const PUBLIC = 'millrace:public';

/** Roles that may use a route (`admin` always may). A route without it is open to every valid token. */
export const Roles = (...roles: readonly Role[]) =>
  applyDecorators(SetMetadata(ROLES, roles), ApiExtension('x-roles', roles));

/** No token needed: inbound webhooks, health, documents. */
export const Public = () => applyDecorators(SetMetadata(PUBLIC, true), ApiExtension('x-public', true));

/** The caller, as the guard found it. */
export const CurrentCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const caller = context.switchToHttp().getRequest<{ caller?: Caller }>().caller;
  if (!caller) throw new Error('a route that needs a caller must be behind the guard');
  return caller;
});
