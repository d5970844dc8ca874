import { Global, Module } from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { CqrsModule } from '@nestjs/cqrs';
import { DataSource } from 'typeorm';

import { commandHandlers, on } from '#libs/event-store/src/command-handlers.js';

import { IdempotencyStore } from './idempotency/idempotency-store.adapter.js';
import { IdempotencyInterceptor } from './idempotency/idempotency.adapter.js';
import { Keyring } from './secrets/keyring.js';
import { establish, organisation, EstablishOrganisation } from './organisation.js';
import { TokenGuard } from './token/token-guard.adapter.js';
import { TokenController } from './token/token.controller.js';
import {
  CreateToken,
  InstallBootstrapToken,
  RevokeToken,
  createToken,
  installBootstrapToken,
  revokeToken,
  token,
} from './token/token.js';
import { TokenTable } from './token/token.table.js';

/** Who may do what: tokens, the guard before every route, and the memory of requests with an `Idempotency-Key`. */
@Global()
@Module({
  imports: [CqrsModule],
  controllers: [TokenController],
  providers: [
    ...commandHandlers(organisation, [on(EstablishOrganisation, establish)]),
    ...commandHandlers(token, [
      on(CreateToken, createToken),
      on(InstallBootstrapToken, installBootstrapToken),
      on(RevokeToken, revokeToken),
    ]),
    { provide: TokenTable, useFactory: () => new TokenTable() },
    {
      provide: IdempotencyStore,
      useFactory: (database: DataSource, keyring: Keyring) => new IdempotencyStore(database, keyring),
      inject: [DataSource, Keyring],
    },
    { provide: APP_GUARD, useClass: TokenGuard },
    { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor },
  ],
  exports: [TokenTable],
})
export class AccessModule {}
