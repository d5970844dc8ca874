import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { DataSource } from 'typeorm';

import { DecisionSources } from '#libs/event-index/src/decision-sources.js';
import { Worlds } from '#libs/event-index/src/worlds.js';
import { EventIndexModule } from '#libs/event-index/src/event-index.module.js';
import { commandHandlers, on } from '#libs/event-store/src/command-handlers.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { Clock } from '#libs/kernel/src/clock.js';

import { DecideRules } from './decisions/decide.subscriber.js';
import { DecisionController } from './decisions/decision.controller.js';
import { DecisionProjection } from './decisions/decision.projection.js';
import { RuleDecisions } from './decisions/rule-decisions.adapter.js';
import { lastOfBurst } from './flow/burst-rows.adapter.js';
import { EndBursts } from './flow/end-bursts.worker.js';
import { RuleController } from './rule/rule.controller.js';
import {
  archive,
  create,
  disable,
  enable,
  rule,
  update,
  ArchiveRule,
  CreateRule,
  DisableRule,
  EnableRule,
  UpdateRule,
} from './rule/rule.js';
import { RuleProjection } from './rule/rule.projection.js';
import { BacktestController } from './trial/backtest/backtest.controller.js';
import { DecisionCheckController } from './trial/decision-check.controller.js';
import { RuleWorlds } from './trial/rule-worlds.js';
import { TrialController } from './trial/trial.controller.js';
import { WhyController } from './trial/why.controller.js';

/** Trigger rules: saved, asked about every event, and what they decided. */
@Module({
  imports: [CqrsModule, EventIndexModule],
  controllers: [
    TrialController,
    BacktestController,
    WhyController,
    DecisionController,
    DecisionCheckController,
    RuleController,
  ],
  providers: [
    ...commandHandlers(rule, [
      on(CreateRule, create),
      on(UpdateRule, update),
      on(EnableRule, enable),
      on(DisableRule, disable),
      on(ArchiveRule, archive),
    ]),
    {
      provide: EndBursts,
      inject: [EventStore, Clock, Progress, DataSource],
      useFactory: (store: EventStore, clock: Clock, progress: Progress, database: DataSource) =>
        new EndBursts({ store, clock, progress, lastOf: (burst) => lastOfBurst(database, burst) }),
    },
    {
      provide: RuleDecisions,
      inject: [DataSource, Progress, DecisionSources],
      useFactory: (database: DataSource, progress: Progress, sources: DecisionSources) =>
        new RuleDecisions(database, progress, sources),
    },
    {
      provide: RuleWorlds,
      inject: [Plugins, Worlds],
      useFactory: (plugins: Plugins, worlds: Worlds) => new RuleWorlds(plugins, worlds),
    },
    DecideRules,
    RuleProjection,
    DecisionProjection,
  ],
  exports: [EndBursts, DecideRules, RuleProjection, DecisionProjection],
})
export class RulesModule {}
