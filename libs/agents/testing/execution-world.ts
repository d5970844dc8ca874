import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { Egress, type EgressOutcome, type EgressRequest } from '#libs/egress/src/egress.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { EventStore, EventToAppend, ExpectedRevision, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { requestedExecutionId } from '#libs/events/src/envelope.js';
import { type AgentSettings, agentSettings } from '#libs/events/src/shapes/agents/agent-shape.js';
import { withDefaults } from '#libs/events/src/shapes/fields.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import type { ClaimedWork } from '#libs/persistence/src/claims/work.js';

import type { Double } from './double.js';
import { CallbackTokens } from '../src/execution/callback-token.js';
import { EXECUTIONS, type ExecutionTask, RunExecution } from '../src/execution/run-execution.worker.js';
import { StoppedExecutions } from '../src/execution/stopped-executions.js';

export const ORG = 'org_1';
export const AGENT = 'agt_01jq5x1d0wkz4s3v2n8m7b6c5a';

export class MemorySecrets extends Secrets {
  readonly kept = new Map<string, string>();
  put(_: string, reference: string, plain: string): Promise<string> {
    const known = this.kept.get(reference) ?? plain;
    this.kept.set(reference, known);
    return Promise.resolve(known);
  }
  get(references: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return Promise.resolve(
      new Map(references.flatMap((one) => (this.kept.has(one) ? [[one, this.kept.get(one)!] as const] : []))),
    );
  }
  remove(references: readonly string[]): Promise<void> {
    for (const reference of references) this.kept.delete(reference);
    return Promise.resolve();
  }
}

type Answer = (request: EgressRequest, nth: number) => EgressOutcome | Promise<EgressOutcome>;

/** Answers as it is told, and remembers what it was sent. */
export class FakeEgress extends Egress {
  readonly requests: EgressRequest[] = [];
  answer: Answer = () => json(200, {});
  override refusal(): undefined {
    return undefined;
  }
  override async request(request: EgressRequest): Promise<EgressOutcome> {
    request.signal.throwIfAborted();
    this.requests.push(request);
    return this.answer(request, this.requests.length);
  }
}

export const json = (status: number, body: unknown, headers: Record<string, string> = {}): EgressOutcome => ({
  kind: 'response',
  status,
  headers,
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  truncated: false,
  latencyMs: 5,
});

/** What a process that is killed leaves behind: an append that did or did not happen, and nothing after it. */
class Died extends Error {}

/** The log of a process that dies at its nth append. */
const dyingAt = (store: MemoryEventStore, nth: number, when: 'before' | 'after'): EventStore => {
  let appends = 0;
  return new Proxy(store, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (key !== 'append') return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      return async (stream: string, events: readonly EventToAppend[], expected: ExpectedRevision) => {
        if (appends > nth) throw new Died();
        if (appends++ < nth) return target.append(stream, events, expected);
        if (when === 'after') await target.append(stream, events, expected);
        throw new Died();
      };
    },
  });
};

/** Executions on a log in memory, without database: time stands still unless it is moved, and processes die as told. */
export class ExecutionWorld {
  readonly clock = new FixedClock('2026-11-20T13:14:15.123Z');
  readonly store = new MemoryEventStore(() => this.clock.now());
  readonly egress = new FakeEgress();
  readonly secrets = new MemorySecrets();
  readonly tokens = new CallbackTokens(this.secrets);
  agentCommands: readonly string[] = [];

  async agent(settings: Pick<AgentSettings, 'runtime' | 'config'>, secret?: string): Promise<void> {
    const all = withDefaults(agentSettings, { name: 'triage', ...settings });
    const reference = secret === undefined ? {} : { secret: `${AGENT}/secret/1` };
    if (secret !== undefined) this.secrets.kept.set(`${AGENT}/secret/1`, secret);
    const draft = { type: 'agent.registered' as const, data: { agentId: AGENT, settings: all, ...reference } };
    const context = { id: uuid7(), orgId: ORG, actor: 'test', now: this.clock.now() };
    await this.store.append(streams.agent(AGENT), [newEvent(draft, context)], 'no-stream');
  }

  async request(input: unknown, more: Partial<DataOf<'agent.requested'>> = {}): Promise<ClaimedWork<ExecutionTask>> {
    const id = uuid7();
    const requestedBy = { kind: 'rule' as const, ruleId: 'rul_1', ruleVersion: 1, index: 0 };
    const data = { requestedBy, eventId: 'evt_1', agent: AGENT, input, ...more };
    const context = { id, orgId: ORG, actor: 'rule/rul_1', now: this.clock.now() };
    const stream = streams.decisions(id);
    const { position } = await this.store.append(
      stream,
      [newEvent({ type: 'agent.requested', data }, context)],
      'no-stream',
    );
    return {
      queue: EXECUTIONS,
      key: requestedExecutionId({ id, data }),
      dueAt: this.clock.now(),
      payload: { agentId: AGENT, request: { stream, revision: '0' } },
      position,
      claims: 1,
    };
  }

  /** Lets a process work on it. */
  async run(work: ClaimedWork<ExecutionTask>, signal = new AbortController().signal, store: EventStore = this.store) {
    const { clock, egress, agentCommands, secrets, tokens } = this;
    const secretValues = (_: string, names: Iterable<string>) =>
      Promise.resolve(new Map([...names].map((name) => [name, `value of ${name}`])));
    const events = { page: () => Promise.resolve({ events: [] }) };
    const callbackToken = (orgId: string, executionId: string) => tokens.of(orgId, executionId);
    const world = {
      clock,
      egress,
      agentCommands,
      publicUrl: 'https://mill.example.com',
      callbackToken,
      pollMs: 1,
      secretValues,
      events,
    };
    return new RunExecution({ store, secrets, stopped: new StoppedExecutions(), world }).run(work, signal);
  }

  /**
   * Lets processes work on what `given` sets up, in a world of its own for each place where the first of them can die.
   * @param check what must be so in the end, wherever it died.
   */
  static async throughCrashes(
    given: (world: ExecutionWorld) => Promise<ClaimedWork<ExecutionTask>>,
    check: (world: ExecutionWorld, work: ClaimedWork<ExecutionTask>) => Promise<void>,
  ): Promise<number> {
    let places = 0;
    for (let nth = 0; ; nth++)
      for (const when of ['before', 'after'] as const) {
        const world = new ExecutionWorld();
        const work = await given(world);
        const hasDied = await world.run(work, undefined, dyingAt(world.store, nth, when)).then(
          () => false,
          (error: unknown) => {
            if (!(error instanceof Died)) throw error;
            return true;
          },
        );
        if (hasDied) await world.run(work);
        await check(world, work);
        if (!hasDied) return places;
        places++;
      }
  }

  events({ key }: ClaimedWork<ExecutionTask>): Promise<readonly RecordedEvent[]> {
    return this.store.readStream(streams.execution(key));
  }

  async types(work: ClaimedWork<ExecutionTask>): Promise<readonly string[]> {
    return (await this.events(work)).map(({ type }) => type);
  }

  async last(work: ClaimedWork<ExecutionTask>): Promise<RecordedEvent> {
    return (await this.events(work)).at(-1)!;
  }
}

/** Egress to doubles by the host of the URL. */
export const toDoubles =
  (doubles: Readonly<Record<string, Double>>): Answer =>
  async ({ url, method, headers, body }) => {
    const { host, pathname } = new URL(url);
    const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    const answer = await doubles[host]!.answer({ method, path: pathname, headers: lower, body: String(body ?? '') });
    return {
      kind: 'response',
      status: answer.status,
      headers: answer.headers ?? {},
      body: Buffer.from(answer.body),
      truncated: false,
      latencyMs: 5,
    };
  };
