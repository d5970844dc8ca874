import { Socket } from 'node:net';

import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';

import { compareDecisions } from '#libs/audit/src/replay/modes/compare-decisions.js';
import { DecidedThen } from '#libs/audit/src/replay/modes/decided-then.adapter.js';
import { type Comparison, WhatIf } from '#libs/audit/src/replay/modes/what-if.js';
import type { KnownReplay } from '#libs/audit/src/replay/replay.js';
import { DecisionSources, type KeyedDecision } from '#libs/event-index/src/decision-sources.js';
import { type Consequence, readOnly, Worlds } from '#libs/event-index/src/worlds.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { causedBy, eventIdOf } from '#libs/events/src/envelope.js';
import type { ReplayWorld } from '#libs/events/src/shapes/audit/replay-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import type { Settings } from '#libs/kernel/src/settings.js';
import { DecideRules } from '#libs/rules/src/decisions/decide.subscriber.js';
import { RecordedDecisions } from '#libs/rules/src/decisions/recorded-decisions.js';
import { RuleWorlds } from '#libs/rules/src/trial/rule-worlds.js';
import { StartRuns } from '#libs/workflows/src/run/start.subscriber.js';
import { WorkflowWorlds } from '#libs/workflows/src/decisions/workflow-worlds.js';
import { save, SaveWorkflow, workflow, workflowIdOf } from '#libs/workflows/src/workflow/workflow.js';

import { openBudget } from '../../../libs/event-index/testing/open-budget.js';
import { noTransaction, noWork } from '../../../libs/persistence/testing/no-work.js';
import { testSteps } from '../../../libs/workflows/testing/library.js';

const ORG = 'org_1';
const settings = { retrySchedule: [60_000] } as unknown as Settings;

/** A log about which rules and workflows decide, with nothing but memory around them. */
class DecidedLog {
  readonly store = new MemoryEventStore();
  private readonly clock = new FixedClock();
  private readonly sources = new DecisionSources();
  private readonly worlds = new Worlds();
  private readonly subscribers = [
    new DecideRules(this.store, this.clock, noWork, openBudget(this.store)),
    new StartRuns(this.store, this.clock, settings, testSteps, openBudget(this.store), noWork),
  ];
  private readonly whatIf = new WhatIf(this.store, this.worlds, new DecidedThen(readOnly(this.store), this.sources));
  private done = 0n;
  private replays = 0;

  constructor() {
    new RuleWorlds({ actions: new Map() }, this.worlds);
    new WorkflowWorlds(testSteps, this.worlds);
    this.sources.add({ decisionsOn: ({ eventId }) => Promise.resolve(this.decisions.get(eventId) ?? []) });
  }
  private readonly decisions = new Map<string, KeyedDecision[]>();

  async append(type: string, data: object, stream = `test-${uuid7()}`, cause?: RecordedEvent): Promise<RecordedEvent> {
    const context = { id: uuid7(), orgId: ORG, actor: 'test', now: this.clock.now(), source: 'github' };
    const event = newEvent({ type, data }, { ...context, ...(cause && { cause: causedBy(cause) }) });
    await this.store.append(stream, [event], 'any');
    return (await this.store.readStream(stream, { direction: 'backwards', limit: 1 }))[0]!;
  }

  async rule(given: object, ruleId = `rul_${uuid7()}`, version = 1, enabled = true): Promise<string> {
    const definition = { name: ruleId, eventSource: '*', eventType: 'git.push', actions: [], ...given };
    const data = { ruleId, version, definition };
    if (version === 1) await this.append('rule.created', { ...data, enabled }, streams.rule(ruleId));
    else await this.append('rule.updated', data, streams.rule(ruleId));
    return ruleId;
  }

  async workflow(name: string, trigger: string): Promise<void> {
    const source = `name: ${name}\ntriggers: [${trigger}]\nsteps: [{ id: one, uses: echo, with: { value: 1 } }]\n`;
    const command = new SaveWorkflow(workflowIdOf(ORG, name), { orgId: ORG, actor: 'x' }, name, source, 'api');
    for (const { type, data } of save(workflow.initial, command, this.clock.now()))
      await this.append(type, data, streams.workflow(command.id));
  }

  /** Lets rules and workflows decide until there is nothing new. */
  async decide(): Promise<void> {
    for (;;) {
      const { events } = await this.store.readAll({ after: this.done, limit: 100 });
      if (events.length === 0) break;
      for (const subscriber of this.subscribers) await subscriber.handle(events, noTransaction);
      this.done = events.at(-1)!.position;
    }
    await this.readDecisions();
  }

  async compare(chosen: ReplayWorld = {}, at?: bigint): Promise<readonly (Comparison & { event: RecordedEvent })[]> {
    const { events } = await this.store.readAll({ limit: 10_000 });
    const upTo = String(await this.store.head());
    const request = { mode: 'what_if', with: chosen };
    const data = { replayId: `rpl_${++this.replays}`, request, upTo, ...(at && { worldAt: String(at) }) };
    const replay = { requested: { data, metadata: { orgId: ORG } } } as unknown as KnownReplay;
    const comparisons = await this.whatIf.compare(replay, events);
    return comparisons.map((one, index) => ({ ...one, event: events[index]! }));
  }

  /** Those that the log holds, as the views would give them. */
  private async readDecisions(): Promise<void> {
    this.decisions.clear();
    const add = (eventId: string, key: string, shown: object): void => {
      const known = this.decisions.get(eventId) ?? [];
      this.decisions.set(eventId, [...known, { key, shown: shown as never }]);
    };
    const reader = new RecordedDecisions();
    const { events } = await this.store.readAll({ limit: 10_000 });
    for (const event of events) {
      for (const one of reader.read(event)) add(one.eventId, one.ruleId, { kind: 'rule', ...one });
      if (event.is('trigger.evaluated'))
        for (const { eventId, decisions } of event.data.events)
          for (const one of decisions) add(eventId, one.workflowId, { kind: 'workflow', ...one });
      if (event.is('workflow.started')) {
        const { workflowId, workflow: name, version, trigger } = event.data;
        const started = { kind: 'workflow', workflowId, workflow: name, version, outcome: 'started' };
        if (trigger.kind !== 'request') add(eventIdOf(event.metadata.$causationId!), workflowId, started);
      }
    }
  }
}

let log: DecidedLog;
beforeEach(() => {
  log = new DecidedLog();
});
afterEach(() => {
  jest.restoreAllMocks();
});

const issue = (title: string) => ({ type: 'create_issue', with: { title } });
const webhook = (id: string) => ({ type: 'send_webhook', with: { webhook: id } });
const differing = (all: readonly Comparison[]) => all.flatMap(({ differences }) => differences);

describe('what if', () => {
  it('says "no difference" of rules and workflows that have not changed, whatever the log', async () => {
    const rule = fc.record({
      eventType: fc.constantFrom('git.push', 'pr.*', '*', 'issue.requested', 'workflow.started', 'action.refused'),
      eventSource: fc.constantFrom('*', 'github', 'gitlab'),
      conditions: fc.constantFrom(
        { all: [] },
        { field: 'data.branch', operator: 'equals', value: 'main' },
        { expression: 'data.n > `2`' },
      ),
      // Without a branch the second cannot be filled in.
      actions: fc.array(fc.constantFrom(issue('Push ${{ data.n }}'), webhook('${{ data.branch }}')), { maxLength: 2 }),
      allowRecursion: fc.boolean(),
      window: fc.constantFrom(undefined, { days: ['mon'], from: '00:00', to: '00:01' }),
    });
    const trigger = fc.constantFrom(
      '{ type: event, event: git.push }',
      '{ type: event, event: git.push, branches: main }',
      "{ type: event, event: '*', when: data.n > `2` }",
      '{ type: event, event: workflow.started }',
      // With a rule that listens to workflow.started it follows from itself.
      '{ type: event, event: issue.requested }',
    );
    const happening = fc.record({
      type: fc.constantFrom('git.push', 'pr.opened'),
      data: fc.record({ branch: fc.constantFrom('main', 'topic'), n: fc.nat(5) }, { requiredKeys: ['n'] }),
      follows: fc.boolean(),
    });
    const lists = fc.tuple(
      fc.array(fc.tuple(rule, fc.boolean()), { maxLength: 5 }),
      fc.array(trigger, { maxLength: 2 }),
      fc.array(happening, { minLength: 1, maxLength: 6 }),
    );
    let acts = 0;
    await fc.assert(
      fc.asyncProperty(lists, async ([rules, triggers, happenings]) => {
        const one = new DecidedLog();
        for (const [{ window, ...given }, enabled] of rules)
          await one.rule({ ...given, ...(window && { window }) }, undefined, 1, enabled);
        for (const [index, text] of triggers.entries()) await one.workflow(`listens-${index}`, text);
        let last: RecordedEvent | undefined;
        for (const { type, data, follows } of happenings)
          last = await one.append(type, data, undefined, follows ? last : undefined);
        await one.decide();
        const before = await one.store.head();
        const comparisons = await one.compare();
        expect(differing(comparisons)).toEqual([]);
        expect(await one.store.head()).toBe(before);
        acts += comparisons.filter(({ now }) => now.some(({ requests }) => requests.length > 0)).length;
      }),
      { numRuns: 60 },
    );
    // Most logs are without matches; that some have them is what makes the comparison worth something.
    expect(acts).toBeGreaterThan(10);
  }, 60_000);

  it('names what a draft would do otherwise', async () => {
    const id = await log.rule({ actions: [issue('Push to ${{ data.branch }}')], conditions: { all: [] } });
    const [main, topic] = [
      await log.append('git.push', { branch: 'main' }),
      await log.append('git.push', { branch: 'topic' }),
    ];
    await log.decide();
    const draft = (given: object) => ({
      rules: [
        {
          ruleId: id,
          draft: { name: 'x', eventType: 'git.push', actions: [issue('Push to ${{ data.branch }}')], ...given },
        },
      ],
    });
    const found = async (given: object) =>
      (await log.compare(draft(given))).flatMap(({ event, differences }) =>
        differences.map(({ difference, inputs }) => [event.id, difference, ...(inputs ? [inputs] : [])]),
      );
    expect(await found({})).toEqual([]);
    const onMain = { field: 'data.branch', operator: 'equals', value: 'main' };
    expect(await found({ conditions: onMain })).toEqual([[topic.id, 'acts_no_longer']]);
    expect(await found({ conditions: onMain, actions: [issue('To ${{ data.branch }}')] })).toEqual([
      [main.id, 'other_inputs', [{ pointer: '/0/data/title', now: 'To main', then: 'Push to main' }]],
      [topic.id, 'acts_no_longer'],
    ]);
    expect(await found({ conditions: onMain, actions: [] })).toContainEqual([main.id, 'other_actions']);
    expect(await found({ conditions: onMain, actions: [webhook('${{ data.missing }}')] })).toContainEqual([
      main.id,
      'other_outcome',
    ]);
    const fresh = await log.compare({ rules: [{ draft: { name: 'new', eventType: 'git.push', actions: [] } }] });
    expect(differing(fresh).map(({ by, difference }) => [by, difference])).toEqual([
      ['draft-1', 'acts_now'],
      ['draft-1', 'acts_now'],
    ]);
  });

  it('decides with versions, and with what was in force at a place in the log', async () => {
    const id = await log.rule({ conditions: { all: [] } });
    const first = await log.append('git.push', { n: 1 });
    await log.decide();
    await log.rule({ conditions: { field: 'data.n', operator: 'equals', value: 2 } }, id, 2);
    await log.append('git.push', { n: 2 });
    await log.decide();
    const now = async (chosen: ReplayWorld, at?: bigint) =>
      (await log.compare(chosen, at)).flatMap(({ event, now: decided }) =>
        decided.map(({ version }) => [(event.data as { n: number }).n, version]),
      );
    expect(await now({})).toEqual([[2, '2']]);
    expect(await now({}, first.position)).toEqual([
      [1, '1'],
      [2, '1'],
    ]);
    expect(await now({ rules: [{ ruleId: id, version: 1 }] })).toEqual([
      [1, '1'],
      [2, '1'],
    ]);
    const missing = { code: 'replay.unknown_rule', problems: [{ pointer: '/with/rules/0' }] };
    await expect(log.compare({ rules: [{ ruleId: id, version: 3 }] })).rejects.toMatchObject(missing);
    await expect(log.compare({ rules: [{ ruleId: 'rul_x' }] })).rejects.toMatchObject(missing);
    await expect(log.compare({ rules: [{ draft: { name: '' } }] })).rejects.toMatchObject({ code: 'rule.invalid' });
  });

  it('decides with triggers of workflows, and of drafts', async () => {
    await log.workflow('on-main', '{ type: event, event: git.push, branches: main }');
    await log.append('git.push', { branch: 'main' });
    await log.append('git.push', { branch: 'topic' });
    await log.decide();
    const source = (name: string) =>
      `name: ${name}\ntriggers: [{ type: event, event: git.push, branches: topic }]\nsteps: [{ id: one, uses: echo, with: { value: 1 } }]\n`;
    const found = async (chosen: ReplayWorld) => differing(await log.compare(chosen)).map((one) => one.difference);
    expect(await found({ workflows: [{ workflow: 'on-main' }] })).toEqual([]);
    expect(await found({ workflows: [{ workflow: 'on-main', version: '1' }] })).toEqual([]);
    expect(await found({ workflows: [{ source: source('on-main') }] })).toEqual(['acts_no_longer', 'acts_now']);
    expect(await found({ workflows: [{ source: source('other') }] })).toEqual(['acts_now']);
    const missing = { code: 'replay.unknown_workflow' };
    await expect(found({ workflows: [{ workflow: 'none' }] })).rejects.toMatchObject(missing);
    await expect(found({ workflows: [{ workflow: 'on-main', version: '7' }] })).rejects.toMatchObject(missing);
    await expect(found({ workflows: [{ source: 'name: x\nsteps: 1\n' }] })).rejects.toMatchObject({
      code: 'workflow.invalid',
      problems: expect.arrayContaining([expect.objectContaining({ pointer: '/with/workflows/0/source/steps' })]),
    });
  });

  it('cannot act: nothing is appended, and no socket is opened', async () => {
    const actions = [
      issue('Push'),
      { type: 'send_webhook', with: { webhook: 'whk_1', payload: {} } },
      { type: 'dispatch_workflow', with: { workflow: 'every' } },
      { type: 'dispatch_agent', with: { agent: 'agt_1' } },
      { type: 'send_message', with: { integration: 'int_1', channel: 'c', text: 't' } },
    ];
    await log.rule({ conditions: { all: [] }, actions });
    await log.workflow('every', '{ type: event, event: git.push }');
    await log.append('git.push', { branch: 'main' });
    const connect = jest.spyOn(Socket.prototype, 'connect');
    const write = ['append', 'truncateBefore'] as const;
    const written = write.map((name) => jest.spyOn(log.store, name));
    const head = await log.store.head();
    const [{ now } = { now: [] }] = (await log.compare()).filter((one) => one.now.length > 0);
    expect(now.flatMap(({ requests }) => requests.map(({ type }) => type))).toEqual([
      'issue.requested',
      'webhook.requested',
      'workflow.requested',
      'agent.requested',
      'message.requested',
      'workflow.requested',
    ]);
    expect(connect).not.toHaveBeenCalled();
    for (const one of written) expect(one).not.toHaveBeenCalled();
    expect(await log.store.head()).toBe(head);
    expect(Object.keys(readOnly(log.store)).sort()).toEqual(['readAll', 'readStream']);
  });
});

describe('two decisions', () => {
  const rule = (outcome: Consequence['outcome'], more: Partial<Consequence> = {}): Consequence => ({
    ...{ kind: 'rule', by: 'rul_1', name: 'r', version: '1', outcome, requests: [] },
    ...more,
  });
  const difference = (now: Consequence, then: Consequence) => compareDecisions([now], [then])[0]?.difference;

  it('do not differ where a throttle, or the length of the story, held the match back then', () => {
    for (const reason of ['/throttle', '/once/quiet', '/debounce'])
      expect(difference(rule('matched'), rule('throttled', { reason }))).toBeUndefined();
    expect(difference(rule('matched'), rule('throttled', { reason: '/window' }))).toBe('other_outcome');
    expect(difference(rule('matched'), rule('errored', { reason: '/throttle' }))).toBe('other_outcome');
    const asked = rule('matched', { requests: [{ type: 'issue.requested', data: { title: 'a' } }] });
    const spent = rule('matched', { requests: [{ type: 'create_issue', data: {}, refused: 'correlation-exhausted' }] });
    expect(difference(asked, spent)).toBeUndefined();
  });

  it('do not differ in what was erased since', () => {
    const asked = (title: unknown) =>
      rule('matched', { requests: [{ type: 'issue.requested', data: { title } as never }] });
    expect(difference(asked('a'), asked({ $erased: true }))).toBeUndefined();
    expect(difference(asked('a'), asked('b'))).toBe('other_inputs');
  });
});
