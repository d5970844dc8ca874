import { platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { uuid5, type Uuid } from '#libs/kernel/src/ids.js';

import type { RequestOutcome } from '../steps/kind/step-kind.js';
import { waitsOf } from '../waits/open-waits.js';
import { choiceOf, type Wait } from '../waits/wait-index.js';
import { ORG_ID, recorded } from './recorded.js';
import { parseSpan } from './spans.js';
import type { TestEvent } from './test-shape.js';

interface Coming {
  readonly at: number;
  readonly event: RecordedEvent;
}

/** The events of a test, and the waits of the run that they answer: each event one wait, the earliest first. */
export class HeardEvents {
  readonly outcomes = new Map<Uuid, RequestOutcome>();
  private readonly waits: Wait[] = [];
  private readonly taken = new Set<Uuid>();
  private readonly past: Coming[] = [];
  private readonly coming: Coming[];
  private isNews = false;

  constructor(events: readonly TestEvent[], start: number) {
    this.coming = events
      .map(({ at: after, type, source = 'api', subject = 'test/event', data = {} }, index) => {
        const at = start + parseSpan(after);
        const id = uuid5('test-event', String(index));
        const context = { id, orgId: ORG_ID, actor: 'test', now: new Date(at), source, subject };
        return { at, event: recorded({ type, data }, context, BigInt(index)) };
      })
      .sort((a, b) => a.at - b.at);
  }

  /** When there is something to hear: at once where a wait found what came before. */
  next(): number {
    return this.isNews ? -Infinity : (this.coming[0]?.at ?? Infinity);
  }

  /** Events that have come by now are given to the waits. */
  until(now: number, run: readonly RecordedEvent[]): void {
    this.isNews = false;
    while ((this.coming[0]?.at ?? Infinity) <= now) {
      const one = this.coming.shift()!;
      this.past.push(one);
      const { open } = waitsOf(run);
      const wait = this.waits.find(
        (other) => open.has(other.id) && !this.outcomes.has(other.id) && choiceOf(other, one.event) !== undefined,
      );
      if (wait) this.answer(wait, one.event);
    }
  }

  /** A wait that begins looks at what came before, unless it wants what comes from now on. */
  begin(begun: RecordedEvent<'run.wait_begun'>, run: readonly RecordedEvent[]): void {
    const { id, position, data } = begun;
    const wait: Wait = { id, orgId: ORG_ID, position, cause: { $correlationId: id, $causationId: id, hop: 0 }, data };
    this.waits.push(wait);
    if (!waitsOf(run).open.has(id)) return;
    const since = data.since === 'step' ? begun.created.getTime() : -Infinity;
    const one = this.past.find(
      ({ at, event }) => at >= since && !this.taken.has(event.id) && choiceOf(wait, event) !== undefined,
    );
    if (!one) return;
    this.answer(wait, one.event);
    this.isNews = true;
  }

  private answer(wait: Wait, event: RecordedEvent): void {
    const { runId, path } = wait.data;
    const choice = choiceOf(wait, event)!;
    this.taken.add(event.id);
    const { id, type, source, subject, timestamp, data } = platformEvent(event);
    this.outcomes.set(wait.id, {
      type: 'run.wait_answered',
      data: { runId, path, requestId: wait.id, choice, event: { id, type, source, subject, timestamp, data } },
    });
  }
}
