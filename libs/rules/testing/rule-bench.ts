import type { CommandBus } from '@nestjs/cqrs';
import type { DataSource } from 'typeorm';

import type { Caller } from '#libs/access/src/caller.js';
import { TokenTable } from '#libs/access/src/token/token.table.js';
import { NamedSecretTable } from '#libs/access/src/named-secrets/named-secret.table.js';
import { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { execute, type ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { VocabularyTable } from '#libs/vocabulary/src/vocabulary.table.js';

import { openBudget } from '../../event-index/testing/open-budget.js';
import { Follower } from '../../persistence/testing/follower.js';
import { noWork } from '../../persistence/testing/no-work.js';
import { DecideRules } from '../src/decisions/decide.subscriber.js';
import { type RecordedDecision, RecordedDecisions } from '../src/decisions/recorded-decisions.js';
import { RuleController } from '../src/rule/rule.controller.js';
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
} from '../src/rule/rule.js';
import { RuleProjection } from '../src/rule/rule.projection.js';

export const callerOf = (orgId: string): Caller => ({
  orgId,
  actor: 'token/tok_1',
  tokenId: 'tok_1',
  roles: ['admin'],
});

const handlers = new Map<unknown, unknown>([
  [CreateRule, create],
  [UpdateRule, update],
  [EnableRule, enable],
  [DisableRule, disable],
  [ArchiveRule, archive],
]);

/** The stage of rules over a log in memory and views in PostgreSQL, one step at a time. */
export class RuleBench {
  readonly clock = new FixedClock();
  readonly store = new MemoryEventStore(() => this.clock.now());
  readonly headers: Record<string, string> = {};
  readonly reply = { header: (name: string, value: string) => (this.headers[name] = value) };
  readonly rules: RuleController;
  private decider = new DecideRules(this.store, this.clock, noWork, openBudget(this.store));
  private readonly follower: Follower;

  constructor(dataSource: DataSource) {
    this.follower = new Follower(this.store, dataSource);
    const commands = {
      execute: (command: ThingCommand) =>
        execute(this.store, this.clock, rule, handlers.get(command.constructor) as never, command as never),
    } as unknown as CommandBus;
    const progress: Progress = { whenProcessed: () => this.follower.run(new RuleProjection()) };
    this.rules = new RuleController(
      commands,
      dataSource,
      progress,
      new Plugins([]),
      new TokenTable(),
      new VocabularyTable(new NamedSecretTable(), new OwnTypeTable(), new Plugins([])),
    );
  }

  /** Appends an event from outside. @returns its id. */
  async happens(type: string, data: object, orgId = 'org_1'): Promise<string> {
    const id = uuid7();
    const event = newEvent({ type, data }, { id, orgId, actor: 'x', source: 'github', now: this.clock.now() });
    await this.store.append(streams.inbound('int_1', id), [event], 'no-stream');
    return eventIdOf(id);
  }

  /** Lets the decider handle what is new. */
  decide(): Promise<void> {
    return this.follower.run(this.decider);
  }

  /** A new decider, as after a restart. */
  restart(): void {
    this.decider = new DecideRules(this.store, this.clock, noWork, openBudget(this.store));
  }

  /** Everything that was decided, in the order of the log. */
  async decisions(): Promise<readonly RecordedDecision[]> {
    const reader = new RecordedDecisions();
    const { events } = await this.store.readAll({ limit: 10_000 });
    return events.flatMap((event) => reader.read(event));
  }

  /** Ids of the events because of which an issue was asked for. */
  async asked(): Promise<readonly string[]> {
    const { events } = await this.store.readAll({ limit: 10_000, filter: { types: ['issue.requested'] } });
    return events.map((event) => (event.data as { eventId: string }).eventId);
  }
}
