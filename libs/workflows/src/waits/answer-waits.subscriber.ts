import { appendOnce } from '#libs/event-store/src/append-once.js';
import { type EventStore, platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readAt, readWhole } from '#libs/event-store/src/reading.js';
import type { Subscriber, SubscriberContext, Table } from '#libs/event-store/src/subscriber.js';
import { causedBy, personalOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { uuid5, type Uuid } from '#libs/kernel/src/ids.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { RUN_ENDS, waitsOf } from './open-waits.js';
import { choiceOf, type Fitting, placesOf, type Wait, WaitIndex } from './wait-index.js';
import type { WaitKeys } from './wait-keys.js';
import type { LookBack, WaitRows } from './wait-rows.js';

const CONCURRENT_APPENDS = 64;

/**
 * Answers the waits of runs. It reads the log in its order, and only one instance is active, so there is one moment at which
 * a wait begins: events after it are held against the index of open waits, events before it are looked up once. None falls
 * in between. The answer is the first event of a stream named after the wait: once, whatever restarts happen, and the run
 * finds it as it finds the outcome of any other request.
 */
export class AnswerWaits implements Subscriber {
  readonly name = followers.answerWaits;
  readonly reads = 'all' as const;
  readonly writes = ['run.wait_answered'] as const;
  private readonly index = new WaitIndex();
  private isLoaded = false;
  private added = new Map<Uuid, Wait>();
  private removed = new Set<Uuid>();

  /** The runner clears it whenever what this process knows may no longer be what the rows say. */
  readonly tables: readonly Table[] = [
    { name: followers.waits, reads: [], clear: () => (this.isLoaded = false), apply: () => undefined },
  ];

  constructor(
    private readonly store: EventStore,
    private readonly clock: Clock,
    private readonly rows: WaitRows,
    private readonly past: LookBack,
    private readonly keys?: WaitKeys,
  ) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    await this.load();
    for (const event of events) {
      if (event.is('run.wait_begun')) await this.begin(event);
      else if (event.is('run.rested', ...RUN_ENDS)) this.forget(event);
      const fitting = this.index.fitting(event);
      if (fitting.size > 0)
        await inParallel([...fitting], CONCURRENT_APPENDS, ([runId, list]) => this.offer(event, runId, list));
      this.keys?.note(event);
    }
    if (this.added.size + this.removed.size === 0 && this.keys?.hasNews !== true) return;
    const tx = await context.transaction();
    this.keys?.save(tx);
    await this.rows.save(tx, [...this.added.values()], [...this.removed]);
    this.added.clear();
    this.removed.clear();
  }

  private async load(): Promise<void> {
    if (this.isLoaded) return;
    this.index.clear();
    this.added.clear();
    this.removed.clear();
    await this.keys?.load();
    for await (const part of this.rows.all()) for (const wait of part) this.index.add(await this.readable(wait));
    this.isLoaded = true;
  }

  /** Rows hold personal data encrypted; the log has them for those who read it. */
  private async readable(wait: Wait): Promise<Wait> {
    if (!wait.cause.personal) return wait;
    const { events } = await this.store.readAll({ from: wait.position, limit: 1 });
    const begun = events.find((event) => event.id === wait.id);
    return begun?.is('run.wait_begun') ? { ...wait, data: begun.data } : wait;
  }

  /** Looks for the event among those that came before, and leaves the wait open where there is none. */
  private async begin(event: RecordedEvent<'run.wait_begun'>): Promise<void> {
    const { orgId } = event.metadata;
    const wait = { id: event.id, orgId, position: event.position, cause: causedBy(event), data: event.data };
    const run = (await readWhole(this.store, event.stream)).filter((one) => one.isReadable);
    // Handled before, or given up since.
    if (!waitsOf(run).open.has(wait.id)) return;
    const before = waitsOf(run.filter(({ position }) => position <= event.position));
    const taken = new Set(before.received);
    for (const other of before.open) {
      const answer = other === wait.id ? undefined : await readAt(this.store, streams.answer(other), 0n);
      if (answer?.is('run.wait_answered')) taken.add(answer.data.event.id);
    }
    const { since } = event.data;
    const after = await this.startOf(event, run);
    for await (const batch of this.before(wait, after))
      for (const one of batch) {
        if (since === 'step' && one.metadata.receivedAt < event.metadata.receivedAt) continue;
        const shown = platformEvent(one);
        const choice = taken.has(shown.id) ? undefined : choiceOf(wait, one);
        if (choice !== undefined) return this.answer(wait, choice, one);
      }
    this.index.add(wait);
    this.added.set(wait.id, { ...wait, data: event.sealed.data });
  }

  /** After which position events count for a wait. */
  private async startOf(event: RecordedEvent<'run.wait_begun'>, run: readonly RecordedEvent[]): Promise<bigint> {
    // A step begins at the time that its first events carry: what was recorded from then on counts.
    if (event.data.since === 'step')
      return (run.findLast(({ position }) => position < event.position) ?? event).position;
    const started = run[0]!;
    // What came before a restart was the earlier run's: it has the same cause.
    const isRestart = started.is('workflow.started') && started.data.restartOf !== undefined;
    return isRestart ? started.position : this.past.causeOf(started);
  }

  /**
   * What came before a wait, in the order of the log. Where each choice compares a value, only the events that have it are
   * read.
   */
  private before(wait: Wait, after: bigint): AsyncIterable<readonly RecordedEvent[]> {
    const { orgId, position, data } = wait;
    const places = placesOf(wait);
    if (this.keys && places.every(({ paths }) => paths.length > 0))
      return this.keys.find(places, { orgId, after, before: position });
    const types = [...new Set(data.choices.flatMap(({ event: patterns }) => patterns))];
    return this.past.between({ orgId, types, after, upTo: position });
  }

  /** Gives an event to the earliest wait of a run that it fits. */
  private async offer(event: RecordedEvent, runId: string, fitting: readonly Fitting[]): Promise<void> {
    const run = await readWhole(this.store, streams.run(runId));
    const { open } = waitsOf(run.filter((one) => one.position <= event.position && one.isReadable));
    const first = fitting.find(({ wait }) => open.has(wait.id));
    if (!first) return;
    await this.answer(first.wait, first.choice, event);
    this.remove(first.wait.id);
  }

  private async answer({ id, orgId, cause, data }: Wait, choice: number, event: RecordedEvent): Promise<void> {
    const { runId, path, maxBytes } = data;
    const { data: content, id: eventId, type, source, subject, timestamp } = platformEvent(event);
    const isSmall = Buffer.byteLength(stringifyJson(content)) <= maxBytes;
    const received = { id: eventId, type, source, subject, timestamp, ...(isSmall && { data: content }) };
    const answer = newEvent(
      { type: 'run.wait_answered', data: { runId, path, requestId: id, choice, event: received } },
      {
        id: uuid5(followers.answerWaits, id),
        orgId,
        actor: `run/${runId}`,
        subject: `run/${runId}`,
        now: this.clock.now(),
        // It holds what the event says as well.
        cause: { ...cause, ...personalOf(cause, event.metadata) },
      },
    );
    crashPoint('workflows.before-answer');
    await appendOnce(this.store, streams.answer(id), [answer]);
    crashPoint('workflows.after-answer');
  }

  /** Waits that a run has given up, or has ended with. */
  private forget(event: RecordedEvent<'run.rested' | (typeof RUN_ENDS)[number]>): void {
    const waits = this.index.ofRun(event.data.runId);
    const kept: readonly string[] = event.is('run.rested') ? event.data.awaiting : [];
    for (const { id } of waits) if (!kept.includes(id)) this.remove(id);
  }

  private remove(id: Uuid): void {
    this.index.remove(id);
    if (!this.added.delete(id)) this.removed.add(id);
  }
}
