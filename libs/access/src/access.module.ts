import { Global, Module } from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { CqrsModule } from '@nestjs/cqrs';
import { DataSource } from 'typeorm';

import { commandHandlers, on } from '#libs/event-store/src/command-handlers.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Settings } from '#libs/kernel/src/settings.js';

import { IdempotencyStore } from './idempotency/idempotency-store.adapter.js';
import { IdempotencyInterceptor } from './idempotency/idempotency.adapter.js';
import { ForgetSecrets } from './named-secrets/forget-secrets.subscriber.js';
import { NamedSecretController } from './named-secrets/named-secret.controller.js';
import { namedSecret, removeSecret, RemoveSecret, setSecret, SetSecret } from './named-secrets/named-secret.js';
import { NamedSecretTable } from './named-secrets/named-secret.table.js';
import { NamedSecretValues } from './named-secrets/secret-values.js';
import { Keyring } from './secrets/keyring.js';
import { Secrets } from './secrets/secrets.js';
import { SignedLinks } from './secrets/signed-links.js';
import { OrganisationController } from './organisation/organisation.controller.js';
import {
  establish,
  EstablishOrganisation,
  organisation,
  updateOrganisation,
  UpdateOrganisation,
} from './organisation/organisation.js';
import { OrganisationTable } from './organisation/organisation.table.js';
import { Organisations } from './organisations.js';
import { TokenGuard } from './token/token-guard.adapter.js';
import { TokenController } from './token/token.controller.js';
import {
  CreateToken,
  InstallBootstrapToken,
  RevokeToken,
  UpdateToken,
  createToken,
  installBootstrapToken,
  revokeToken,
  token,
  updateToken,
} from './token/token.js';
import { TokenTable } from './token/token.table.js';
import { TokenUse } from './token/token-use.adapter.js';

/** Who may do what: tokens, the guard before every route, named secrets, and the memory of requests with an `Idempotency-Key`. */
@Global()
@Module({
  imports: [CqrsModule],
  controllers: [OrganisationController, TokenController, NamedSecretController],
  providers: [
    ...commandHandlers(organisation, [
      on(EstablishOrganisation, establish),
      on(UpdateOrganisation, updateOrganisation),
    ]),
    ...commandHandlers(token, [
      on(CreateToken, createToken),
      on(InstallBootstrapToken, installBootstrapToken),
      on(UpdateToken, updateToken),
      on(RevokeToken, revokeToken),
    ]),
    ...commandHandlers(namedSecret, [on(SetSecret, setSecret), on(RemoveSecret, removeSecret)]),
    ForgetSecrets,
    { provide: NamedSecretTable, useFactory: () => new NamedSecretTable() },
    {
      provide: NamedSecretValues,
      useFactory: (store: EventStore, secrets: Secrets) => new NamedSecretValues(store, secrets),
      inject: [EventStore, Secrets],
    },
    {
      provide: SignedLinks,
      useFactory: (keyring: Keyring, { publicUrl }: Settings) => new SignedLinks(keyring, publicUrl),
      inject: [Keyring, Settings],
    },
    { provide: OrganisationTable, useFactory: () => new OrganisationTable() },
    { provide: Organisations, useExisting: OrganisationTable },
    TokenUse,
    { provide: TokenTable, useFactory: () => new TokenTable() },
    {
      provide: IdempotencyStore,
      useFactory: (database: DataSource, keyring: Keyring) => new IdempotencyStore(database, keyring),
      inject: [DataSource, Keyring],
    },
    { provide: APP_GUARD, useClass: TokenGuard },
    { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor },
  ],
  exports: [
    OrganisationTable,
    Organisations,
    TokenTable,
    SignedLinks,
    NamedSecretTable,
    NamedSecretValues,
    ForgetSecrets,
  ],
})
export class AccessModule {}
