import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { PlatformEvent } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { formatDuration } from '#libs/kernel/src/time/durations.js';
import { derivedId, uuid5, type Uuid } from '#libs/kernel/src/ids.js';

import { foldRun, type RunState } from '../src/engine/run-state.js';
import type { SignLink } from '../src/engine/run-decision.js';
import { startRun } from '../src/engine/start-run.js';
import type { Definition } from '../src/language/definition.js';
import { parseWorkflow } from '../src/language/reading/parse-workflow.js';
import type { StepLibrary } from '../src/steps/step-library.js';
import type { MakeAttempt } from '../src/run/advance/attempts.js';
import type { RunPorts } from '../src/run/advance/run-ports.js';
import { runUntilIdle } from '../src/run/advance/run-until-idle.js';
import { runEvents } from '../src/run/run-events.js';
import type { RequestOutcome } from '../src/steps/kind/step-kind.js';
import { testSteps } from './library.js';
import { MemoryAnswers } from './memory-waits.js';

export interface WorldOptions {
  readonly yaml: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly event?: Pick<PlatformEvent, 'type' | 'data'>;
  /** What steps with effects do; default: nothing, with output null. */
  readonly makeAttempt?: MakeAttempt;
  /** The answer to the n-th request (from 1) for a redelivery. */
  readonly answer?: (nth: number, deliveryId: string) => RequestOutcome;
  /** The answer to any other request, which comes at once. Default: that of `otherRun` to a request for a run. */
  readonly respond?: (request: RecordedEvent) => RequestOutcome | undefined;
  readonly retrySchedule?: readonly number[];
  /** Events that come so long after the start, or as soon after it as anything can come. */
  readonly events?: readonly { readonly after: number; readonly type: string; readonly data: object }[];
  readonly signLink?: SignLink;
  readonly ownTypes?: RunPorts['ownTypes'];
  readonly snapshots?: RunPorts['snapshots'];
  /** Default: the steps of specs. */
  readonly library?: StepLibrary;
  /** Default 0: time passes between the calls of `goOn`, not in them. */
  readonly earlyMs?: number;
  /** Around the log, for faults. */
  readonly store?: (memory: MemoryEventStore) => EventStore;
}

const RUN_ID = derivedId('run', 'virtual');
const metadata = {
  orgId: derivedId('org', 'virtual'),
  subject: `run/${RUN_ID}`,
  actor: `run/${RUN_ID}`,
  $correlationId: '00000000-0000-4000-8000-000000000001',
  $causationId: '00000000-0000-4000-8000-000000000002',
  hop: 1,
};

/** One run over a log in memory, with a clock that jumps to whatever comes next. */
export class VirtualWorld {
  readonly clock = new FixedClock('2026-01-01T00:00:00.000Z');
  readonly memory = new MemoryEventStore(() => this.clock.now());
  readonly store: EventStore;
  readonly definition: Definition;
  readonly runId = RUN_ID;
  readonly orgId = metadata.orgId;
  readonly stream = streams.run(RUN_ID);
  private readonly outcomes = new Map<Uuid, RequestOutcome>();
  private readonly due: { at: number; requestId: Uuid; deliveryId: string }[] = [];
  readonly answers: MemoryAnswers;
  private readonly coming: { at: number; type: string; data: object }[];
  private published = 0;
  private answered = 0;
  private seen = 0;

  constructor(private readonly options: WorldOptions) {
    this.store = options.store?.(this.memory) ?? this.memory;
    this.answers = new MemoryAnswers(this.memory, this.clock);
    const start = this.clock.now().getTime();
    this.coming = (options.events ?? []).map(({ after, ...event }) => ({ at: start + after, ...event }));
    const parsed = parseWorkflow(options.yaml, options.library ?? testSteps);
    if (!parsed.ok) throw new Error(parsed.problems.map(({ line, detail }) => `line ${line}: ${detail}`).join('\n'));
    this.definition = parsed.definition;
  }

  async begin(): Promise<void> {
    const { inputs = {}, event, retrySchedule = [60_000] } = this.options;
    const now = this.clock.now();
    if (event)
      await this.memory.append(
        'source-1',
        runEvents(
          [{ ...event, id: metadata.$causationId }],
          '00000000-0000-4000-8000-000000000003',
          metadata,
          now,
          'source',
          0n,
        ),
        'no-stream',
      );
    const { drafts } = startRun(
      {
        runId: RUN_ID,
        workflowId: derivedId('wf', 'virtual'),
        workflow: this.definition.name,
        version: 'v1',
        trigger: { kind: 'manual', index: 0 },
        inputs,
        ...(event && { event: { id: 'evt_x', type: event.type, stream: 'source-1', revision: '0' } }),
        settings: { retrySchedule: retrySchedule.map(formatDuration) },
        hop: 1,
      },
      now,
    );
    await this.memory.append(this.stream, runEvents(drafts, '', metadata, now, 'trigger', 0n), 'no-stream');
  }

  /** A process takes the run as far as it goes now. */
  async goOn(signal: AbortSignal = new AbortController().signal): Promise<void> {
    await runUntilIdle(
      {
        store: this.store,
        clock: this.clock,
        definition: () => Promise.resolve(this.definition),
        outcomes: async (_, isLast) => {
          if (isLast) await this.answers.catchUp();
          await this.lookAtAnswers();
          return this.outcomes;
        },
        hasTurn: () => Promise.resolve(true),
        earlyMs: this.options.earlyMs ?? 0,
        ...(this.options.signLink && { signLink: this.options.signLink }),
        ...(this.options.ownTypes && { ownTypes: this.options.ownTypes }),
        ...(this.options.snapshots && { snapshots: this.options.snapshots }),
        retries: { first: 0, max: 0 },
        makeAttempt: this.options.makeAttempt ?? (() => Promise.resolve(null)),
      },
      RUN_ID,
      signal,
    );
  }

  /** Lets time pass until something can happen; false if nothing ever will. */
  async untilNext(): Promise<boolean> {
    await this.lookAtRequests();
    await this.answers.catchUp();
    if (await this.lookAtAnswers()) return true;
    const events = await this.events();
    const rested = events.findLast((event) => event.is('run.rested'));
    const until = rested?.is('run.rested') && rested.data.until ? Date.parse(rested.data.until) : Infinity;
    const next = Math.min(until, ...[...this.due, ...this.coming].map(({ at }) => at));
    if (next === Infinity) return false;
    this.clock.advance(Math.max(0, next - this.clock.now().getTime()));
    for (const one of this.coming.filter(({ at }) => at <= next)) {
      await this.publish(one.type, one.data);
      this.coming.splice(this.coming.indexOf(one), 1);
    }
    for (const one of this.due.filter(({ at }) => at <= next)) {
      if (one.deliveryId !== '')
        this.outcomes.set(one.requestId, this.options.answer!(++this.answered, one.deliveryId));
      this.due.splice(this.due.indexOf(one), 1);
    }
    return true;
  }

  /** Goes on until the run has ended, or nothing more will happen. */
  async toTheEnd(): Promise<RecordedEvent[]> {
    await this.begin();
    for (let turns = 0; turns < 10_000; turns++) {
      await this.goOn();
      const run = await this.run();
      if (run.status === 'unknown' || run.ended || !(await this.untilNext())) break;
    }
    return this.events();
  }

  async run(): Promise<RunState> {
    const events = await this.events();
    return foldRun(events.map(({ type, data, metadata: { timestamp } }) => ({ type, data, timestamp })));
  }

  async events(): Promise<RecordedEvent[]> {
    return [...(await this.memory.readStream(this.stream, { limit: 100_000 }))];
  }

  /** An event from outside, recorded now. */
  async publish(type: string, data: object): Promise<void> {
    const nth = ++this.published;
    const { $causationId: _, ...outside } = { ...metadata, $correlationId: uuid5('story', String(nth)) };
    const id = uuid5('published', String(nth));
    const events = runEvents([{ type, data, id }], id, outside, this.clock.now(), 'source', 0n);
    await this.memory.append(`source-${nth + 1}`, events, 'no-stream');
  }

  /** Whether there are new ones. */
  private async lookAtAnswers(): Promise<boolean> {
    const { size } = this.outcomes;
    const { events } = await this.memory.readAll({
      from: 0n,
      filter: { types: ['run.wait_answered', 'approval.decided'] },
      limit: 10_000,
    });
    for (const event of events)
      if (event.is('run.wait_answered', 'approval.decided'))
        this.outcomes.set(event.data.requestId, { type: event.type, data: event.data } as RequestOutcome);
    return this.outcomes.size > size;
  }

  private async lookAtRequests(): Promise<void> {
    const events = await this.events();
    for (const event of events.slice(this.seen)) {
      const outcome = (this.options.respond ?? otherRun)(event);
      if (outcome) {
        this.outcomes.set(event.id, outcome);
        this.due.push({ at: this.clock.now().getTime(), requestId: event.id, deliveryId: '' });
      }
      if (event.is('webhook.redelivery_requested') && this.options.answer)
        this.due.push({
          at: Date.parse(event.metadata.timestamp) + event.data.afterMs,
          requestId: event.id,
          deliveryId: event.data.deliveryId,
        });
    }
    this.seen = events.length;
  }
}

/** How a run ends that a step asked for: half of them fail, the same request always in the same way. */
function otherRun({ id, type }: RecordedEvent): RequestOutcome | undefined {
  if (type !== 'workflow.requested') return undefined;
  const ofRun = {
    runId: 'run_other',
    workflowId: 'wf_other',
    workflow: 'other',
    startedAt: '2026-01-01T00:00:00.000Z',
  };
  const isFailed = parseInt(id.slice(0, 2), 16) < 128;
  const error = { type: 'runtime' as const, code: 'other.failed', message: 'No.' };
  return isFailed
    ? { type: 'workflow.failed', data: { ...ofRun, error } }
    : { type: 'workflow.completed', data: { ...ofRun, outputs: {} } };
}

/** The types and paths of what happened, for expectations that read as a story. */
export const story = (events: readonly RecordedEvent[]): string[] =>
  events.map(({ type, data }) => {
    const { path, to } = data as { path?: string; to?: string };
    return [type, path === undefined ? to : path].filter((part) => part !== undefined && part !== '').join(' ');
  });
