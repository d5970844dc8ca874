import type { Static } from '@sinclair/typebox';

import { type EventToAppend, type RecordedEvent, MAX_APPEND_BYTES } from '#libs/event-store/src/event-store.js';
import { type EventDraft, newEvent } from '#libs/event-store/src/new-event.js';
import { causedBy, eventIdOf, MAX_HOPS, type PlatformEvent } from '#libs/events/src/envelope.js';
import type { Decision as Schema } from '#libs/events/src/rule.events.js';
import { uuid5 } from '#libs/kernel/src/ids.js';

import type { CompiledAction, Request } from './actions.js';
import { inWordsOf, type Verdict } from './judge.js';
import type { KnownRule } from './known-rule.js';
import type { Verdicts } from './verdicts.js';

/** A rule's verdict as it is recorded. */
export type Decision = Static<typeof Schema>;

const SUBSCRIBER = 'rules.decide';
/** About so many bytes of verdicts in one event, well below the limit of an append. */
export const MAX_VERDICT_BYTES = 256 * 1024;
/** Most bytes of one request: what is larger is refused, with its reason. */
const MAX_REQUEST_BYTES = MAX_APPEND_BYTES / 2;

/**
 * Everything that is recorded about an event that a rule matched: the verdicts, and a request for each action of each rule that matched.
 * Ids follow from the event, the rule and the place of the action, so that recording again is recording the same. Pure.
 * @param throttled verdicts of matches that are held back.
 */
export function recordOf(
  event: RecordedEvent,
  platformEvent: PlatformEvent,
  verdicts: Verdicts,
  throttled: ReadonlySet<Verdict>,
  now: Date,
): readonly EventToAppend[] {
  const cause = causedBy(event);
  const requests: EventToAppend[] = [];
  const append = (draft: EventDraft, id: string, actor: string, subject: string): EventToAppend =>
    newEvent(draft, { id, orgId: event.metadata.orgId, actor, now, cause, subject });

  const ask = (rule: KnownRule, action: CompiledAction, index: number): Decision['actions'][number] => {
    const id = uuid5(event.id, SUBSCRIBER, rule.id, String(index));
    const requestedBy = { kind: 'rule' as const, ruleId: rule.id, ruleVersion: rule.version, index };
    const actor = `rule/${rule.id}`;
    const refuse = (reason: string, detail: string) => {
      const data = { action: action.type, reason, detail, eventId: platformEvent.id, requestedBy };
      requests.push(append({ type: 'action.refused', data }, id, actor, actor));
      return { type: action.type, requestId: eventIdOf(id), refused: reason };
    };
    if (cause.hop > MAX_HOPS)
      return refuse('too-many-hops', `The event has ${cause.hop} causes; at most ${MAX_HOPS} are allowed.`);
    const place = { stream: event.stream, revision: String(event.revision) };
    const request: Request = action.request(platformEvent, { requestedBy, eventId: platformEvent.id, event: place });
    const asked = append(request, id, actor, actor);
    const bytes = Buffer.byteLength(asked.data);
    if (bytes > MAX_REQUEST_BYTES)
      return refuse(
        'too-large',
        `The action has ${bytes} bytes when filled in; at most ${MAX_REQUEST_BYTES} are allowed.`,
      );
    requests.push(asked);
    return { type: action.type, requestId: eventIdOf(id) };
  };

  const decisionOf = (rule: KnownRule, verdict: Verdicts['decided'][number]['verdict']): Decision => {
    if (verdict.outcome === 'errored') return erroredDecision(rule, verdict.error);
    if (throttled.has(verdict)) return { ...who(rule), outcome: 'throttled', actions: [] };
    const before = requests.length;
    try {
      const actions = rule.compiled.actions.map((action, index) => ask(rule, action, index));
      return { ...who(rule), outcome: 'matched', actions };
    } catch (error) {
      // All actions of a rule or none: half of a rule is what nobody wrote.
      requests.length = before;
      return erroredDecision(rule, inWordsOf(error));
    }
  };

  const evaluated = verdicts.parts(MAX_VERDICT_BYTES).map((part, index) => {
    const data = {
      eventId: platformEvent.id,
      eventType: event.type,
      decisions: part.decided.map(({ rule, verdict }) => decisionOf(rule, verdict)),
      asked: part.sets.map(({ name }) => name),
      failed: [...part.failed],
    };
    const id = uuid5(event.id, SUBSCRIBER, String(index));
    return append({ type: 'rule.evaluated', data }, id, 'millrace', `event/${platformEvent.id}`);
  });
  return [...evaluated, ...requests];
}

const who = ({ id, name, version }: KnownRule) => ({ ruleId: id, ruleName: name, ruleVersion: version });

/** The verdict of a rule that could not be evaluated, or whose actions could not be filled in. */
export const erroredDecision = (rule: KnownRule, error: string): Decision => ({
  ...who(rule),
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
