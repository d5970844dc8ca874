import { type DynamicModule, Global, Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { DataSource } from 'typeorm';

import { AccessModule } from '#libs/access/src/access.module.js';
import { Keyring } from '#libs/access/src/secrets/keyring.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { Egress } from '#libs/egress/src/egress.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Quarantine } from '#libs/event-store/src/runner/quarantine.table.js';
import { Runner } from '#libs/event-store/src/runner/runner.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { Clock } from '#libs/kernel/src/clock.js';
import type { Log } from '#libs/kernel/src/log.js';
import { Settings } from '#libs/kernel/src/settings.js';
import { SHUTDOWN } from '#libs/kernel/src/shutdown.js';
import { WorkQueue } from '#libs/persistence/src/claims/work.js';
import { SubjectKeys } from '#libs/privacy/src/keys/subject-keys.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

import { DocumentsController } from './http/documents.controller.js';
import { OrganisationSchemasController } from './http/organisation-schemas.controller.js';
import { Health } from './health/health.adapter.js';
import { HealthController } from './health/health.controller.js';
import { LOG } from './logging.js';
import { Metrics } from './health/metrics.js';
import { ApiDocument } from './http/openapi.adapter.js';
import { ProblemFilter } from './http/problem.adapter.js';
import { PluginsController } from './http/plugins.controller.js';
import { RouteTable } from './http/route-table.js';
import { Schemas } from './http/schemas.js';
import { SubscriberController } from './health/subscriber.controller.js';

/** What every stage may ask for, made before the application is put together. */
export interface Core {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly database: DataSource;
  readonly workQueue: WorkQueue;
  readonly keyring: Keyring;
  readonly secrets: Secrets;
  readonly subjectKeys: SubjectKeys;
  readonly egress: Egress;
  readonly plugins: Plugins;
  readonly runner: Runner;
  readonly settings: Settings;
  readonly schemas: Schemas;
  readonly metrics: Metrics;
  readonly health: Health;
  readonly routes: RouteTable;
  /** Aborts when the server begins to stop. */
  readonly shutdown: AbortSignal;
  readonly log: Log;
}

/** The parts of the server that belong to no stage, and its own routes. */
@Global()
@Module({})
export class CoreModule {
  static with(core: Core): DynamicModule {
    const providers = [
      { provide: EventStore, useValue: core.store },
      { provide: Clock, useValue: core.clock },
      { provide: DataSource, useValue: core.database },
      { provide: WorkQueue, useValue: core.workQueue },
      { provide: Keyring, useValue: core.keyring },
      { provide: Secrets, useValue: core.secrets },
      { provide: SubjectKeys, useValue: core.subjectKeys },
      { provide: Egress, useValue: core.egress },
      { provide: Plugins, useValue: core.plugins },
      { provide: Runner, useValue: core.runner },
      { provide: Progress, useExisting: Runner },
      { provide: Quarantine, useValue: core.runner.quarantine },
      { provide: Settings, useValue: core.settings },
      { provide: SHUTDOWN, useValue: core.shutdown },
      { provide: LOG, useValue: core.log },
    ];
    return {
      module: CoreModule,
      imports: [AccessModule],
      controllers: [
        HealthController,
        DocumentsController,
        OrganisationSchemasController,
        SubscriberController,
        PluginsController,
      ],
      providers: [
        ...providers,
        { provide: Schemas, useValue: core.schemas },
        { provide: Metrics, useValue: core.metrics },
        { provide: Health, useValue: core.health },
        { provide: RouteTable, useValue: core.routes },
        { provide: ApiDocument, useFactory: () => new ApiDocument() },
        { provide: APP_FILTER, useClass: ProblemFilter },
      ],
      exports: providers.map(({ provide }) => provide),
    };
  }
}
