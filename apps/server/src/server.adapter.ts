import { ValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';

import { bootstrap } from '#libs/access/src/organisation/bootstrap.js';
import { PostgresSecrets } from '#libs/access/src/secrets/secrets.adapter.js';
import { rebuildOutdated } from '#libs/audit/src/projections/outdated.js';
import { Projections } from '#libs/event-store/src/subscriber.js';
import { TokenTable } from '#libs/access/src/token/token.table.js';
import { countPaced } from '#libs/deliveries/src/delivery/expected-times.adapter.js';
import { HttpEgress } from '#libs/egress/src/egress.adapter.js';
import { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import { compilePersonal } from '#libs/expressions/src/personal/personal-fields.js';
import { Runner } from '#libs/event-store/src/runner/runner.js';
import { followers } from '#libs/events/src/followers.js';
import { inboundDocument } from '#libs/intake/src/receiving/inbound-document.js';
import { SystemClock } from '#libs/kernel/src/clock.js';
import { messageOf, Rejected } from '#libs/kernel/src/errors.js';
import type { Log } from '#libs/kernel/src/log.js';
import { PostgresCheckpoints } from '#libs/persistence/src/checkpoints.adapter.js';
import { AdvisoryLocks } from '#libs/persistence/src/session/advisory-locks.adapter.js';
import { SessionConnection } from '#libs/persistence/src/session/session-connection.adapter.js';
import { PostgresWorkQueue } from '#libs/persistence/src/claims/work-queue.adapter.js';
import { Workers } from '#libs/persistence/src/claims/workers.adapter.js';
import { PostgresKeyNames } from '#libs/privacy/src/keys/key-names.adapter.js';
import { PersonalEventStore } from '#libs/privacy/src/keys/personal-event-store.adapter.js';
import { SubjectKeys } from '#libs/privacy/src/keys/subject-keys.js';
import { loadPlugins } from '#libs/plugin-sdk/src/loading/load-plugins.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';
import { ruleSchemaWith } from '#libs/rules/src/language/rule-schema.js';
import { builtInSteps } from '#libs/steps/src/built-in.js';
import { StepLibrary } from '#libs/workflows/src/steps/step-library.js';
import { workflowSchema } from '#libs/workflows/src/language/workflow-schema.js';
import { workflowTestSchema } from '#libs/workflows/src/trial/test-shape.js';
import { WorkflowFiles } from '#libs/workflows/src/workflow/workflow-files.adapter.js';

import { AppModule, partsOf, VIEWS } from './app.module.js';
import { checkCommandHandlers } from './command-check.adapter.js';
import type { Config } from './config.js';
import type { Closers } from './database.adapter.js';
import type { FrontDoor } from './http/front-door.js';
import { Health } from './health/health.adapter.js';
import { createHttp } from './http/http.adapter.js';
import { openAnswers } from './http/open-answers.js';
import { MeteredEventStore } from './health/metered-event-store.js';
import { Metrics } from './health/metrics.js';
import { NestLog } from './nest-log.adapter.js';
import { ApiDocument } from './http/openapi.adapter.js';
import { contentsOf } from './http/plugins.controller.js';
import { lagOf } from './health/readiness.js';
import { Schemas } from './http/schemas.js';
import { openStorage } from './storage.adapter.js';
import { invalidRequest } from './http/validation.js';
import { withoutApi } from './worker-only.js';

/** In-flight requests and work get this long to finish. */
export const PATIENCE_MS = 30_000;

export interface Server {
  /** What is kept where, for a person. */
  readonly places: string;
  /** Generated at this start, the first one; to be shown once. */
  readonly firstToken: string | undefined;
  /** Accepts nothing new, finishes what is under way, saves, and closes everything. */
  stop(): Promise<void>;
}

/** What is under way when the bulk of the program has been loaded. */
export interface Begun {
  /** Open already. */
  readonly door: FrontDoor;
  /** URL of the database, once it answers. */
  readonly databaseUrl: Promise<string>;
  /** Closes what was begun; whatever is opened from now on is added. */
  readonly closers: Closers;
}

/** Puts the server together and starts it. What was opened is closed again if that fails. */
export async function startServer(config: Config, begun: Begun, log: Log): Promise<Server> {
  try {
    return await compose(config, begun, log);
  } catch (error) {
    await begun.databaseUrl.catch(() => undefined);
    await closeAll(begun.closers, log);
    throw error;
  }
}

async function compose(config: Config, { door, databaseUrl: starting, closers }: Begun, log: Log): Promise<Server> {
  const { settings } = config;
  const clock = new SystemClock();
  const metrics = new Metrics();
  const plugins = await pluginsOf(settings.plugins, log);
  const databaseUrl = await starting;
  const storage = await openStorage(config, databaseUrl, VIEWS, closers, log);
  const { database, keyring } = storage;
  const secrets = new PostgresSecrets(database, keyring);
  const subjectKeys = new SubjectKeys(new PostgresKeyNames(database), secrets);
  const personal = new PersonalEventStore(storage.store, subjectKeys);
  const store = new MeteredEventStore(personal, metrics);

  const session = new SessionConnection(databaseUrl, log);
  closers.push({ name: 'session', close: () => session.close() });
  const workQueue = new PostgresWorkQueue(database, session);
  const works = config.roles.has('worker');
  const locks = new AdvisoryLocks(session);
  const runner = new Runner({
    store,
    checkpoints: new PostgresCheckpoints(database),
    locks,
    signals: session,
    clock,
    log,
  });
  // Every worker competes for every subscriber: where nobody holds one, there is none.
  const isFollowed = works ? undefined : () => locks.isHeld(followers.decideRules);
  const health = new Health(store, database, () => runner.status(), isFollowed);
  metrics.ask({
    subscribers: async () =>
      (await runner.status()).map(({ name, position, head, parked }) => ({ name, lag: lagOf(position, head), parked })),
    work: () => workQueue.counts(),
    pacedDeliveries: () => countPaced(database),
  });

  const http = await createHttp(door, settings.trustProxy, metrics, log);
  openAnswers(http, subjectKeys);
  const schemas = new Schemas({
    'workflow.json': workflowSchema(new StepLibrary([...plugins.steps.values()])),
    'workflow-test.json': workflowTestSchema(),
    'rule.json': ruleSchemaWith(plugins.actions.values()),
  });
  const application = await NestFactory.create<NestFastifyApplication>(
    AppModule.with({
      store,
      clock,
      database,
      workQueue,
      keyring,
      secrets,
      subjectKeys,
      egress: new HttpEgress(settings),
      plugins,
      runner,
      settings,
      schemas,
      metrics,
      health,
      routes: http.routes,
      shutdown: door.shutdown,
      log,
    }),
    http.adapter,
    { logger: new NestLog(log), bodyParser: false, abortOnError: false, forceCloseConnections: false },
  );
  closers.push({ name: 'application', close: () => application.close() });
  application.useGlobalPipes(
    new ValidationPipe({
      transform: true,
      whitelist: true,
      forbidNonWhitelisted: true,
      forbidUnknownValues: true,
      exceptionFactory: invalidRequest,
    }),
  );
  await application.init();
  const ownTypes = application.get(OwnTypeTable, { strict: false });
  personal.inOwnType = (orgId, type) => {
    const declared = ownTypes.find(orgId, type)?.content.personal;
    return declared && compilePersonal(declared);
  };
  checkCommandHandlers(application);
  await http.fastify.ready();
  application.get(ApiDocument).describe(application, settings.publicUrl, [inboundDocument]);

  const { subscribers, tables, workers } = partsOf(application);
  const loops = new Workers({ dataSource: database, queue: workQueue, workers: works ? workers : [], log });
  closers.push({ name: 'subscribers', close: () => runner.stop() });
  await runner.start({ subscribers: works ? subscribers : [], tables });
  const tokens = application.get(TokenTable, { strict: false });
  http.tokens = tokens;
  const { generated: firstToken, revoked } = await bootstrap(store, clock, tokens, runner, config.adminToken);
  if (revoked)
    log.warn(
      {},
      'MILLRACE_ADMIN_TOKEN was revoked through the API and is not valid. Set another token, or remove the variable.',
    );
  if (works) {
    const files = application.get(WorkflowFiles, { strict: false });
    closers.push({ name: 'workflow files', close: () => files.stop() });
    await files.start();
    await rebuildOutdated(application.get(Projections, { strict: false }), database, { store, clock });
  }
  closers.push({ name: 'workers', close: () => loops.stop(PATIENCE_MS) });
  await loops.start();
  door.serve(config.roles.has('api') ? http.fastify.routing : withoutApi(http.fastify.routing));
  return { places: storage.places, firstToken, stop: () => stop(door, closers, log) };
}

async function pluginsOf(specifiers: readonly string[], log: Log): Promise<Plugins> {
  try {
    const others = await loadPlugins(specifiers, process.cwd());
    const plugins = new Plugins([builtInProviders, { name: 'built-in steps', sdk: 1, steps: builtInSteps }, ...others]);
    for (const plugin of others) log.info(contentsOf(plugin), 'plug-in loaded');
    return plugins;
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    throw new Rejected(error.kind, error.code, `MILLRACE_PLUGINS: ${error.message}`, { cause: error });
  }
}

/** Requests first: they need everything else. */
async function stop(door: FrontDoor, closers: Closers, log: Log): Promise<void> {
  await door.close(PATIENCE_MS);
  await closeAll(closers, log);
}

/** In the opposite order of opening. What does not close is reported and holds up nothing else. */
async function closeAll(closers: Closers, log: Log): Promise<void> {
  for (const { name, close } of closers.splice(0).reverse()) {
    const began = performance.now();
    try {
      await close();
      log.debug({ part: name, ms: Math.round(performance.now() - began) }, 'closed');
    } catch (error) {
      log.warn({ part: name, error: messageOf(error) }, 'a part of the server failed to close');
    }
  }
}
