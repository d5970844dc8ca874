import { Global, Module } from '@nestjs/common';

import { NamedSecretTable } from '#libs/access/src/named-secrets/named-secret.table.js';
import { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

import { VocabularyTable } from './vocabulary.table.js';

/** What each organisation has names for, for everything that checks what people write. */
@Global()
@Module({
  providers: [
    {
      provide: VocabularyTable,
      useFactory: (secrets: NamedSecretTable, ownTypes: OwnTypeTable, plugins: Plugins) =>
        new VocabularyTable(secrets, ownTypes, plugins),
      inject: [NamedSecretTable, OwnTypeTable, Plugins],
    },
  ],
  exports: [VocabularyTable],
})
export class VocabularyModule {}
