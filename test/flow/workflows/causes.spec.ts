import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { outcomeCause } from '#libs/deliveries/src/delivery/delivery.js';
import { Schedule } from '#libs/deliveries/src/delivery/schedule.js';
import { WebhookTable } from '#libs/deliveries/src/webhook/webhook.table.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { causedBy, type Cause, MAX_HOPS } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid5, uuid7 } from '#libs/kernel/src/ids.js';
import type { Settings } from '#libs/kernel/src/settings.js';
import { DecideRules } from '#libs/rules/src/decisions/decide.subscriber.js';
import { StartRuns } from '#libs/workflows/src/run/start.subscriber.js';
import { save, SaveWorkflow, workflow, workflowIdOf } from '#libs/workflows/src/workflow/workflow.js';

import { openBudget } from '../../../libs/event-index/testing/open-budget.js';
import { noWork } from '../../../libs/persistence/testing/no-work.js';
import { testSteps } from '../../../libs/workflows/testing/library.js';

const ORG = 'org_1';
const clock = new FixedClock();
const BUDGET = 40;
const BATCH = 16;
/** One event makes four rules act twice each, three workflows start and three webhooks send. */
const ACTIONS_PER_EVENT = 14;
/** A story overshoots by what follows from the events that pass before the index is asked again. */
const MOST_ACTIONS = BUDGET + (BUDGET / 10 + BATCH) * ACTIONS_PER_EVENT;
/** Decisions and refusals come on top of actions. Far beyond what a story that comes to rest has. */
const NO_REST = 10_000n;

interface Topology {
  readonly rules: readonly {
    readonly eventType: string;
    readonly actions: readonly ('issue' | 'webhook' | 'workflow')[];
    readonly allowRecursion: boolean;
  }[];
  readonly workflows: readonly {
    readonly event: string;
    readonly step: 'emit' | 'fail';
    readonly allowRecursion: boolean;
  }[];
  readonly webhooks: readonly { readonly events: string; readonly up: boolean; readonly allowRecursion: boolean }[];
}

const pattern = fc.constantFrom(
  ...['*', '*.*', '*.failed', 'issue.*', 'webhook.*', 'webhook.failed', 'webhook.exhausted', 'action.refused'],
  ...['rule.*', 'rule.none_matched', 'workflow.*', 'workflow.failed', 'run.*', 'delivery.*', 'comment.created'],
);
const allowRecursion = fc.integer({ min: 0, max: 4 }).map((one) => one === 0);
const topology: fc.Arbitrary<Topology> = fc.record({
  rules: fc.array(
    fc.record({
      eventType: pattern,
      actions: fc.array(fc.constantFrom('issue', 'webhook', 'workflow'), { maxLength: 2 }),
      allowRecursion,
    }),
    { maxLength: 4 },
  ),
  workflows: fc.array(fc.record({ event: pattern, step: fc.constantFrom('emit', 'fail'), allowRecursion }), {
    maxLength: 3,
  }),
  webhooks: fc.array(fc.record({ events: pattern, up: fc.boolean(), allowRecursion }), { maxLength: 3 }),
});

/** Rules, workflows and webhooks over one log in memory; receivers and the tracker answer at once. */
class World {
  readonly store = new MemoryEventStore();
  private readonly rules = new DecideRules(this.store, clock, noWork, openBudget(this.store, BUDGET));
  private readonly runs = new StartRuns(
    this.store,
    clock,
    { retrySchedule: [1] } as unknown as Settings,
    testSteps,
    openBudget(this.store, BUDGET),
    noWork,
  );
  private readonly webhooks = new WebhookTable();
  private readonly budget = openBudget(this.store, BUDGET);
  readonly recursive = new Set<string>();
  private readonly down = new Set<string>();

  async append(stream: string, type: string, data: object, cause?: Cause): Promise<void> {
    const id = uuid7();
    const event = newEvent({ type, data }, { id, orgId: ORG, actor: 't', now: clock.now(), ...(cause && { cause }) });
    await this.store.append(stream, [event], 'any');
  }

  async setUp({ rules, workflows, webhooks }: Topology): Promise<void> {
    for (const [index, { events, up, allowRecursion }] of webhooks.entries()) {
      const webhookId = `whk_${index}`;
      if (allowRecursion) this.recursive.add(webhookId);
      if (!up) this.down.add(webhookId);
      const settings = { url: 'https://x.example', events: [events], format: 'platform', timeoutMs: 1, allowRecursion };
      const data = { webhookId, secret: 's', disabled: false, settings };
      await this.append(streams.webhook(webhookId), 'webhook.registered', data);
    }
    for (const [index, { event, step, allowRecursion }] of workflows.entries()) {
      const name = `w${index}`;
      const id = workflowIdOf(ORG, name);
      if (allowRecursion) this.recursive.add(id);
      const source = `name: ${name}
allowRecursion: ${allowRecursion}
triggers: [{ type: event, event: "${event}" }, { type: manual }]
steps: [{ uses: emit, with: { type: webhook.exhausted, data: "\${{ ${step === 'emit' ? "{deliveryId: 'del_1', attempts: `1`}" : '`{}`'} }}" } }]
`;
      for (const { type, data } of save(
        workflow.initial,
        new SaveWorkflow(id, { orgId: ORG, actor: 't' }, name, source, 'api'),
        clock.now(),
      ))
        await this.append(streams.workflow(id), type, data);
    }
    for (const [index, { eventType, actions, allowRecursion }] of rules.entries()) {
      const ruleId = `rul_${index}`;
      if (allowRecursion) this.recursive.add(ruleId);
      const filled = actions.map((action) => {
        if (action === 'issue') return { type: 'create_issue', with: { title: 'x' } };
        if (action === 'webhook')
          return {
            type: 'send_webhook',
            with: { webhook: `whk_${index % Math.max(1, webhooks.length)}`, payload: 'x' },
          };
        return { type: 'dispatch_workflow', with: { workflow: `w${index % Math.max(1, workflows.length)}` } };
      });
      const definition = { name: ruleId, eventSource: '*', eventType, actions: filled, allowRecursion };
      await this.append(streams.rule(ruleId), 'rule.created', { ruleId, version: 1, enabled: true, definition });
    }
  }

  async untilQuiet(): Promise<readonly RecordedEvent[]> {
    const context = {
      signal: new AbortController().signal,
      transaction: () => Promise.reject(new Error('nothing here needs the database')),
    };
    for (let position = 0n; ;) {
      const { events } = await this.store.readAll({ from: position + 1n, limit: BATCH });
      if (events.length === 0) return (await this.store.readAll({ limit: 1_000_000 })).events;
      await this.rules.handle(events, context);
      await this.runs.handle(events, context);
      await this.deliver(events);
      for (const event of events)
        if (event.is('issue.requested'))
          await this.append(streams.issue(event.id), 'issue.created', { issue: {} }, causedBy(event));
      position = events.at(-1)!.position;
      if (position > NO_REST) throw new Error('it does not come to rest');
    }
  }

  private async deliver(events: readonly RecordedEvent[]): Promise<void> {
    await this.budget.note(events, () => true);
    const spent = (event: RecordedEvent) =>
      this.budget.isSpent(event) ? { reason: 'correlation-exhausted', detail: '' } : undefined;
    const schedule = new Schedule(this.webhooks, new Map(), new Map(), new Map(), spent);
    for (const event of events) schedule.apply(event);
    await this.budget.tell();
    for (const { event, data } of schedule.refusals)
      await this.append(streams.refused('deliveries', event.id), 'action.refused', data, causedBy(event));
    for (const [id, { cause }] of schedule.due) {
      const { webhookId, eventId, eventType } = schedule.changed.get(id)!;
      const failed = this.down.has(webhookId ?? '');
      const data = { deliveryId: id, webhookId, eventId, eventType, attempt: 1, latencyMs: 1, retryable: true };
      const type = failed ? 'webhook.failed' : 'webhook.delivered';
      await this.append(streams.delivery(id), type, data, outcomeCause(cause, { webhookId }, failed));
    }
  }
}

/** Who acted by recording an event. */
function actorOf(event: RecordedEvent): string | undefined {
  if (event.is('issue.requested', 'webhook.requested', 'workflow.requested'))
    return event.data.requestedBy.kind === 'rule' ? event.data.requestedBy.ruleId : undefined;
  if (event.is('workflow.started')) return event.data.workflowId;
  if (event.is('webhook.delivered', 'webhook.failed')) return event.data.webhookId;
  return undefined;
}

describe('whatever listens to whatever', () => {
  it('comes to rest, and nobody acts on what follows from itself unless it says so', async () => {
    await fc.assert(
      fc.asyncProperty(topology, async (given) => {
        const world = new World();
        await world.setUp(given);
        for (const type of ['comment.created', 'issue.created', 'webhook.failed'])
          await world.append(`outside-${uuid5('x', type)}`, type, { issue: {}, deliveryId: 'del_0', attempt: 1 });
        const events = await world.untilQuiet();
        const byId = new Map(events.map((event) => [event.id, event]));
        const actions = new Map<string, number>();
        for (const event of events) {
          const { hop, causedBy: path = [], $causationId, $correlationId } = event.metadata;
          // A refusal may be one deeper than what it refuses, and its verdict one more.
          expect(hop).toBeLessThanOrEqual(MAX_HOPS + 2);
          expect(new Set(path).size).toBe(path.length);
          const actor = actorOf(event);
          const cause = $causationId === undefined ? undefined : byId.get($causationId);
          if (actor === undefined || cause === undefined) continue;
          actions.set($correlationId, (actions.get($correlationId) ?? 0) + 1);
          expect(path).toContain(actor);
          if (!world.recursive.has(actor)) expect(cause.metadata.causedBy ?? []).not.toContain(actor);
        }
        for (const total of actions.values()) expect(total).toBeLessThanOrEqual(MOST_ACTIONS);
      }),
      // Without shrinking: each world that grows costs seconds. The seed is named.
      { numRuns: 20, endOnFailure: true },
    );
  });
});
