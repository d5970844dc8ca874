import { createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';

import type { Caller, Role } from './caller.js';

/** Metadata keys that the guard reads. */
export const ROLES = 'millrace:roles';
export const PUBLIC = 'millrace:public';

/** Roles that may use a route (`admin` always may). A route without it is open to every valid token. */
export const Roles = (...roles: readonly Role[]) => SetMetadata(ROLES, roles);

/** No token needed: inbound webhooks, health, documents. */
export const Public = () => SetMetadata(PUBLIC, true);

/** The caller, as the guard found it. */
export const CurrentCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const caller = context.switchToHttp().getRequest<{ caller?: Caller }>().caller;
  if (!caller) throw new Error('a route that needs a caller is not behind the guard');
  return caller;
});
