import { describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { type Author, execute, type ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';

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
} from './rule.js';

const me: Author = { orgId: 'org_1', actor: 'token/tok_1' };
const stranger: Author = { orgId: 'org_2', actor: 'token/tok_2' };
const definition = { name: 'a', eventSource: '*', eventType: 'git.push', actions: [] };
const changed = { ...definition, name: 'b' };

const decisions = new Map<unknown, unknown>([
  [CreateRule, create],
  [UpdateRule, update],
  [EnableRule, enable],
  [DisableRule, disable],
  [ArchiveRule, archive],
]);

/** Gives commands one after the other; returns the types that each appended, or the code of its refusal. */
async function given(...commands: readonly ThingCommand<never>[]): Promise<readonly (readonly string[] | string)[]> {
  const store = new MemoryEventStore();
  const outcomes: (readonly string[] | string)[] = [];
  for (const command of commands) {
    const before = (await store.readStream(streams.rule('r'))).length;
    try {
      await execute(
        store,
        new FixedClock(),
        rule as never,
        decisions.get(command.constructor) as never,
        command as never,
      );
      outcomes.push((await store.readStream(streams.rule('r'))).slice(before).map(({ type }) => type));
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      outcomes.push(error.code);
    }
  }
  return outcomes;
}

const steps = {
  create: new CreateRule('r', me, definition, true),
  createDisabled: new CreateRule('r', me, definition, false),
  createOther: new CreateRule('r', me, changed, true),
  update: new UpdateRule('r', me, changed),
  updateSame: new UpdateRule('r', me, definition),
  updateAndDisable: new UpdateRule('r', me, changed, false),
  enable: new EnableRule('r', me),
  disable: new DisableRule('r', me),
  archive: new ArchiveRule('r', me),
  updateByStranger: new UpdateRule('r', stranger, changed),
  archiveByStranger: new ArchiveRule('r', stranger),
} as unknown as Record<string, ThingCommand<never>>;

describe('the life of a rule', () => {
  it.each<[string[], (readonly string[] | string)[]]>([
    [['create'], [['rule.created']]],
    [
      ['create', 'create'],
      [['rule.created'], []],
    ],
    [
      ['create', 'createOther'],
      [['rule.created'], 'rule.exists'],
    ],
    [['update'], ['rule.not_found']],
    [['enable'], ['rule.not_found']],
    [['archive'], ['rule.not_found']],
    [
      ['create', 'update'],
      [['rule.created'], ['rule.updated']],
    ],
    [
      ['create', 'updateSame'],
      [['rule.created'], []],
    ],
    [
      ['create', 'updateAndDisable'],
      [['rule.created'], ['rule.updated', 'rule.disabled']],
    ],
    [
      ['create', 'enable', 'disable', 'disable', 'enable'],
      [['rule.created'], [], ['rule.disabled'], [], ['rule.enabled']],
    ],
    [
      ['createDisabled', 'enable'],
      [['rule.created'], ['rule.enabled']],
    ],
    [
      ['create', 'archive', 'archive', 'enable', 'update'],
      [['rule.created'], ['rule.archived'], [], 'rule.archived', 'rule.archived'],
    ],
    [
      ['create', 'updateByStranger', 'archiveByStranger'],
      [['rule.created'], 'rule.not_found', 'rule.not_found'],
    ],
  ])('%j', async (names, outcomes) => {
    expect(await given(...names.map((name) => steps[name]!))).toEqual(outcomes);
  });

  it('counts a version for every save that changes something', async () => {
    const store = new MemoryEventStore();
    const clock = new FixedClock();
    await execute(store, clock, rule, create, new CreateRule('r', me, definition, true));
    await execute(store, clock, rule, update, new UpdateRule('r', me, changed));
    const { state } = await execute(store, clock, rule, update, new UpdateRule('r', me, definition));
    expect(state).toMatchObject({ status: 'enabled', version: 3, definition, orgId: 'org_1' });
  });

  it('refuses a change of what has changed in the meantime', async () => {
    const store = new MemoryEventStore();
    const clock = new FixedClock();
    await execute(store, clock, rule, create, new CreateRule('r', me, definition, true));
    await expect(execute(store, clock, rule, update, new UpdateRule('r', me, changed, undefined, 4n))).rejects.toThrow(
      /revision 0/,
    );
  });
});
