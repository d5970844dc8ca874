import { platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { eventIdOf, type PlatformEvent } from '#libs/events/src/envelope.js';

import { isBeyondHops, evaluateConditions, actionsProblem } from '../../engine/evaluate-rule.js';
import type { Failure } from '../../language/condition.js';
import type { CompiledDefinition } from '../../language/definition.js';
import { SimulatedFlow } from './simulated-flow.js';

export type BacktestOutcome = 'matched' | 'not_matched' | 'throttled' | 'errored';

/** What a rule made of one event of the past. */
interface Seen {
  readonly outcome: BacktestOutcome;
  readonly failed?: Failure;
  readonly error?: string;
}

/** One event of the log, enough to look it up. */
export interface SampleEvent {
  readonly eventId: string;
  readonly type: string;
  readonly source: string;
  readonly subject: string;
  readonly timestamp: string;
  readonly position: string;
}

/** An example of an outcome. */
export interface Sample extends SampleEvent {
  readonly outcome: BacktestOutcome;
  readonly failed?: Failure;
  readonly error?: string;
}

/** Which condition decided how often against the rule. */
export interface Reason {
  readonly pointer: string;
  readonly condition: string;
  readonly count: number;
}

export interface Counts {
  readonly matched: number;
  readonly notMatched: number;
  readonly throttled: number;
  readonly errored: number;
  /** Events of the types looked at whose source or type the rule does not name. */
  readonly notNamed: number;
}

/** Where the draft and the rule that it is compared with part. */
export interface Difference {
  /** Matched by both. */
  readonly both: number;
  readonly onlyDraft: { readonly count: number; readonly samples: readonly SampleEvent[] };
  readonly onlyOther: { readonly count: number; readonly samples: readonly SampleEvent[] };
  /** What the other rule made of the same events. */
  readonly other: Counts;
}

export interface BacktestReport extends Counts {
  /** Events looked at: `matched + notMatched + throttled + errored + notNamed`. */
  readonly scanned: number;
  /** The newest of each outcome, in the order of the log. */
  readonly samples: readonly Sample[];
  /** The most frequent first. */
  readonly reasons: readonly Reason[];
  readonly difference?: Difference;
  /** False where flow control had more keys than are remembered, so that `throttled` is a little too small. */
  readonly throttleExact: boolean;
}

/** Examples kept of each outcome, and reasons told. */
export const SAMPLES = 10;
const REASONS = 20;

/**
 * Asks a rule, and perhaps another one, about one event of the past after the other, as `rules.decide` would have.
 * Whatever the number of events, it keeps counts, a few samples and a bounded number of throttle keys. Does nothing.
 */
export class Backtest {
  private scanned = 0;
  private readonly draft: Side;
  private readonly other: Side | undefined;
  private both = 0;
  private readonly onlyDraft = new Latest<SampleEvent>();
  private readonly onlyOther = new Latest<SampleEvent>();

  constructor(draft: CompiledDefinition, other?: CompiledDefinition) {
    this.draft = new Side(draft);
    this.other = other && new Side(other);
  }

  get seen(): number {
    return this.scanned;
  }

  /** Events must come in the order of the log: flow control depends on it. */
  look(event: RecordedEvent): void {
    this.scanned++;
    const { other } = this;
    if (!other) {
      this.draft.look(event, () => undefined);
      return;
    }
    // A rule that waits for the end of a burst answers later.
    let byDraft: boolean | undefined;
    let byOther: boolean | undefined;
    const sample = sampleOf(event);
    const compare = (): void => {
      if (byDraft === undefined || byOther === undefined) return;
      if (byDraft && byOther) this.both++;
      else if (byDraft) this.onlyDraft.add(() => sample);
      else if (byOther) this.onlyOther.add(() => sample);
    };
    this.draft.look(event, (matched) => {
      byDraft = matched;
      compare();
    });
    other.look(event, (matched) => {
      byOther = matched;
      compare();
    });
  }

  /** No event comes any more: bursts that go on are over. */
  finish(): void {
    this.draft.finish();
    this.other?.finish();
  }

  report(): BacktestReport {
    const { scanned, both, onlyDraft, onlyOther, draft, other } = this;
    return {
      scanned,
      ...draft.counts(),
      samples: draft.samples(),
      reasons: draft.reasons(),
      ...(other && {
        difference: { both, onlyDraft: onlyDraft.told(), onlyOther: onlyOther.told(), other: other.counts() },
      }),
      throttleExact: draft.isExact && other?.isExact !== false,
    };
  }
}

/** One rule under test. */
class Side {
  private readonly byOutcome: Readonly<Record<BacktestOutcome, Latest<Sample>>> = {
    matched: new Latest(),
    not_matched: new Latest(),
    throttled: new Latest(),
    errored: new Latest(),
  };
  private notNamed = 0;
  /** By pointer: there are no more than a rule has conditions. */
  private readonly against = new Map<string, { condition: string; count: number }>();
  private readonly flow: SimulatedFlow;

  constructor(private readonly rule: CompiledDefinition) {
    this.flow = new SimulatedFlow(rule);
  }

  /** @param settled told whether the rule acted, perhaps at a later event. */
  look(event: RecordedEvent, settled: (matched: boolean) => void): void {
    // As when deciding: nothing looks at what follows from an event beyond the limit.
    if (!this.isNamed(event) || isBeyondHops(event)) {
      this.notNamed++;
      settled(false);
      return;
    }
    const scope: PlatformEvent = platformEvent(event);
    const verdict = evaluateConditions(this.rule, scope);
    if (verdict.outcome !== 'matched') {
      this.count(sampleOf(event), verdict);
      settled(false);
      return;
    }
    const error = actionsProblem(this.rule, scope);
    const sample = sampleOf(event);
    this.flow.pass(verdict, event.created, error === undefined, (held) => {
      if (held) this.count(sample, { outcome: 'throttled', failed: held });
      else this.count(sample, error === undefined ? { outcome: 'matched' } : { outcome: 'errored', error });
      settled(!held && error === undefined);
    });
  }

  finish(): void {
    this.flow.finish();
  }

  private isNamed({ type, metadata }: RecordedEvent): boolean {
    return this.rule.matchesType(type) && this.rule.matchesSource(metadata.source);
  }

  private count(event: SampleEvent, seen: Seen): void {
    if (seen.failed) {
      const known = this.against.get(seen.failed.pointer);
      if (known) known.count++;
      else this.against.set(seen.failed.pointer, { condition: seen.failed.condition, count: 1 });
    }
    this.byOutcome[seen.outcome].add(() => ({ ...event, ...seen }));
  }

  get isExact(): boolean {
    return this.flow.isExact;
  }

  counts(): Counts {
    const { matched, not_matched: notMatched, throttled, errored } = this.byOutcome;
    return {
      matched: matched.count,
      notMatched: notMatched.count,
      throttled: throttled.count,
      errored: errored.count,
      notNamed: this.notNamed,
    };
  }

  samples(): readonly Sample[] {
    return Object.values(this.byOutcome)
      .flatMap((latest) => latest.told().samples)
      .sort((one, two) => (BigInt(one.position) < BigInt(two.position) ? -1 : 1));
  }

  reasons(): readonly Reason[] {
    return [...this.against]
      .map(([pointer, { condition, count }]) => ({ pointer, condition, count }))
      .sort((one, two) => two.count - one.count)
      .slice(0, REASONS);
  }
}

/** Counts all, keeps the last few. */
class Latest<T> {
  count = 0;
  private readonly kept: T[] = [];

  add(make: () => T): void {
    this.kept[this.count++ % SAMPLES] = make();
  }

  told(): { readonly count: number; readonly samples: readonly T[] } {
    const oldest = this.count > SAMPLES ? this.count % SAMPLES : 0;
    return { count: this.count, samples: [...this.kept.slice(oldest), ...this.kept.slice(0, oldest)] };
  }
}

function sampleOf(event: RecordedEvent): SampleEvent {
  const { source, subject, timestamp } = event.metadata;
  return {
    eventId: eventIdOf(event.id),
    type: event.type,
    source,
    subject,
    timestamp,
    position: String(event.position),
  };
}
