import { type EventToAppend, type RecordedEvent, MAX_APPEND_BYTES } from '#libs/event-store/src/event-store.js';
import { type EventDraft, newEvent } from '#libs/event-store/src/new-event.js';
import { MAX_RECORD_BYTES } from '#libs/event-store/src/range-records.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { causedBy, ENGINE, eventIdOf, type PlatformEvent } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import type { Decision } from '#libs/events/src/types/rule.events.js';
import type { Cost } from '#libs/expressions/src/values.js';
import { type Uuid, uuid5 } from '#libs/kernel/src/ids.js';

import type { ActionRequest } from '../actions/action-kind.js';
import type { CompiledAction } from '../actions/compile-action.js';
import type { CompiledRule } from '../engine/compiled-rule.js';
import {
  type ActionRefusal,
  costOf,
  errorInWords,
  isAboutVerdicts,
  type RuleVerdict,
} from '../engine/evaluate-rule.js';
import type { EventVerdicts } from '../engine/event-verdicts.js';
import type { AfterBurst } from '../flow/flow-control.adapter.js';
import type { Failure } from '../language/condition.js';

/** Most bytes of one request: what is larger is refused, with its reason. */
export const MAX_REQUEST_BYTES = MAX_APPEND_BYTES / 2;

/**
 * Everything that is recorded about an event that a rule matched: the verdicts, and a request for each action of each rule
 * that matched. Ids follow from the event, the rule and the index of the action, so that recording again changes nothing.
 * Pure.
 * @param held matches that may not act, and what holds them back.
 * @param refused the same for those whose actions are refused, each with the reason.
 */
export function recordOf(
  event: RecordedEvent,
  platformEvent: PlatformEvent,
  verdicts: EventVerdicts,
  held: ReadonlyMap<RuleVerdict, Failure>,
  refused: ReadonlyMap<RuleVerdict, ActionRefusal>,
  now: Date,
): readonly EventToAppend[] {
  const record = new EventRecord(event, platformEvent, now);
  const evaluated = verdicts.parts(MAX_RECORD_BYTES).map((part, index) =>
    record.evaluated(uuid5(event.id, followers.decideRules, String(index)), {
      decisions: part.decided.map(({ rule, verdict }) =>
        record.decide(rule, verdict, held.get(verdict), refused.get(verdict)),
      ),
      asked: part.sets.map(({ name }) => name),
      failed: [...part.failed],
    }),
  );
  return [...evaluated, ...record.requests];
}

/**
 * The event that is appended last for an event, as far as that is known beforehand: where it is in the log, all others are.
 * Absent where the verdicts lead to no request.
 */
export function lastRequestOf(
  event: RecordedEvent,
  verdicts: EventVerdicts,
  held: ReadonlyMap<RuleVerdict, Failure>,
): Uuid | undefined {
  const last = verdicts
    .parts(MAX_RECORD_BYTES)
    .flatMap(({ decided }) => decided)
    .findLast(
      ({ rule, verdict }) => verdict.outcome === 'matched' && !held.has(verdict) && rule.compiled.actions.length > 0,
    );
  return last && requestId(event, last.rule, last.rule.compiled.actions.length - 1);
}

/** The same for a rule that waited for the end of a burst, of which the event was the last. */
export function recordAfterBurst(
  event: RecordedEvent,
  platformEvent: PlatformEvent,
  { rule, verdict, held }: Pick<AfterBurst, 'rule' | 'verdict' | 'held'>,
  refused: ActionRefusal | undefined,
  now: Date,
): readonly EventToAppend[] {
  const record = new EventRecord(event, platformEvent, now);
  const decision = 'compiled' in rule ? record.decide(rule, verdict, held, refused) : throttledDecision(rule, held);
  const id = uuid5(event.id, followers.decideRules, 'after-burst', rule.id);
  return [record.evaluated(id, { decisions: [decision], afterBurst: true }), ...record.requests];
}

/** What there is to record about one event, request by request. */
class EventRecord {
  readonly requests: EventToAppend[] = [];

  constructor(
    private readonly event: RecordedEvent,
    private readonly platformEvent: PlatformEvent,
    private readonly now: Date,
  ) {}

  evaluated(id: Uuid, verdicts: Omit<DataOf<'rule.evaluated'>, 'eventId' | 'eventType'>): EventToAppend {
    const { id: eventId, type: eventType } = this.platformEvent;
    const data = { eventId, eventType, ...verdicts };
    return this.append({ type: 'rule.evaluated', data }, id, `event/${eventId}`);
  }

  /** Adds the requests of a rule that may act. */
  decide(
    rule: CompiledRule,
    verdict: RuleVerdict,
    held: Failure | undefined,
    refused: ActionRefusal | undefined,
  ): Decision {
    if (verdict.outcome === 'errored') return erroredDecision(rule, verdict.error);
    if (verdict.outcome === 'not_matched') return { ...ruleFieldsOf(rule), ...verdict, actions: [] };
    if (held) return throttledDecision(rule, held);
    const before = this.requests.length;
    try {
      const cost = costOf(this.platformEvent);
      const actions = rule.compiled.actions.map((action, index) =>
        refused ? this.refuse(rule, action, index, refused) : this.request(rule, action, index, cost),
      );
      return { ...ruleFieldsOf(rule), outcome: 'matched', actions };
    } catch (error) {
      // All actions of a rule or none.
      this.requests.length = before;
      return erroredDecision(rule, errorInWords(error));
    }
  }

  private request(rule: CompiledRule, action: CompiledAction, index: number, cost: Cost): Decision['actions'][number] {
    const { event, platformEvent } = this;
    const id = requestId(event, rule, index);
    const place = { stream: event.stream, revision: String(event.revision) };
    const context = { requestedBy: requestedBy(rule, index), eventId: platformEvent.id, event: place };
    const request: ActionRequest = action.request(platformEvent, context, cost);
    const asked = this.append(request, id, `rule/${rule.id}`, rule);
    const bytes = Buffer.byteLength(asked.data);
    if (bytes > MAX_REQUEST_BYTES)
      return this.refuse(rule, action, index, {
        reason: 'too-large',
        detail: `The action has ${bytes} bytes when filled in; at most ${MAX_REQUEST_BYTES} are allowed.`,
      });
    this.requests.push(asked);
    return { type: action.type, requestId: eventIdOf(id) };
  }

  private refuse(
    rule: CompiledRule,
    { type }: CompiledAction,
    index: number,
    { reason, detail, untold = false }: ActionRefusal,
  ): Decision['actions'][number] {
    const id = requestId(this.event, rule, index);
    if (!untold && !isAboutVerdicts(this.event)) {
      const data = {
        action: type,
        reason,
        detail,
        eventId: this.platformEvent.id,
        requestedBy: requestedBy(rule, index),
      };
      this.requests.push(this.append({ type: 'action.refused', data }, id, `rule/${rule.id}`, rule));
    }
    return { type, requestId: eventIdOf(id), refused: reason };
  }

  /** @param by the rule that acts; the verdicts are recorded by nobody in particular. */
  private append(draft: EventDraft, id: Uuid, subject: string, by?: CompiledRule): EventToAppend {
    const { event, now } = this;
    const actor = by ? `rule/${by.id}` : ENGINE;
    return newEvent(draft, { id, orgId: event.metadata.orgId, actor, now, cause: causedBy(event, by?.id), subject });
  }
}

const requestId = (event: RecordedEvent, rule: CompiledRule, index: number): Uuid =>
  uuid5(event.id, followers.decideRules, rule.id, String(index));

const requestedBy = (rule: CompiledRule, index: number) => ({
  kind: 'rule' as const,
  ruleId: rule.id,
  ruleVersion: rule.version,
  index,
});

const ruleFieldsOf = ({ id, name, version }: Pick<CompiledRule, 'id' | 'name' | 'version'>) => ({
  ruleId: id,
  ruleName: name,
  ruleVersion: version,
});

const throttledDecision = (rule: AfterBurst['rule'], failed: Failure | undefined): Decision => ({
  ...ruleFieldsOf(rule),
  outcome: 'throttled',
  ...(failed && { failed }),
  actions: [],
});

/** The verdict of a rule that could not be evaluated, or whose actions could not be filled in. */
export const erroredDecision = (rule: CompiledRule, error: string): Decision => ({
  ...ruleFieldsOf(rule),
  outcome: 'errored',
  error,
  actions: [],
});

/** One append, or several where one would be too large, each as large as it may be. */
export function appendsOf(events: readonly EventToAppend[]): readonly (readonly EventToAppend[])[] {
  const appends: EventToAppend[][] = [];
  let bytes = Infinity;
  for (const event of events) {
    const size = Buffer.byteLength(event.data) + Buffer.byteLength(event.metadata) + 200;
    if (bytes + size > MAX_APPEND_BYTES) {
      appends.push([]);
      bytes = 0;
    }
    appends.at(-1)!.push(event);
    bytes += size;
  }
  return appends;
}
