import { type EventStore, type RecordedEvent, WrongRevision } from '#libs/event-store/src/event-store.js';
import type { EventQuery } from '#libs/event-index/src/event-query.js';
import { boundOf, type AskedRange } from '#libs/event-index/src/scan/log-range.js';
import { type EventDraft, newEvent } from '#libs/event-store/src/new-event.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { causedBy, eventUuidOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { typeMatcher } from '#libs/events/src/patterns.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { ReplayRequest, type ReplayWorld } from '#libs/events/src/shapes/audit/replay-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { compile } from '#libs/expressions/src/compile.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { Problems } from '#libs/kernel/src/problems.js';

/** @throws Rejected `request.invalid` or `replay.invalid`, with a problem for everything that is wrong. */
export function checkReplay(body: unknown): ReplayRequest {
  return checkBody(ReplayRequest, body, {
    prefix: 'replay',
    check: (request, problems) => {
      boundOf(problems.part(request, 'from'), '/from', problems);
      boundOf(problems.part(request, 'to'), '/to', problems);
      checkMode(request, problems);
      const filter = problems.part(request, 'filter');
      if (filter?.correlation !== undefined && eventUuidOf(filter.correlation) === undefined)
        problems.add('/filter/correlation', 'Must be the id of an event: evt_….');
      const { expression } = filter ?? {};
      if (expression === undefined) return;
      try {
        compile(expression);
      } catch (error) {
        if (!(error instanceof Rejected)) throw error;
        problems.add('/filter/expression', error.message, error.code);
      }
    },
  });
}

/** Keys that one mode has alone. */
const ONLY_OF = {
  speed: ['inspect'],
  with: ['what_if', 'rerun'],
  rate: ['rerun'],
  confirm: ['rerun'],
} as const;

function checkMode(request: ReplayRequest, problems: Problems): void {
  const { mode } = request;
  for (const [key, only] of Object.entries(ONLY_OF))
    if (key in request && !(only as readonly string[]).includes(mode))
      problems.add(`/${key}`, `Must be used with mode ${only.join(' or ')} only.`);
  const chosen = problems.part(request, 'with');
  boundOf(chosen?.at, '/with/at', problems);
  if (mode === 'rerun') checkChosen(chosen ?? {}, problems);
  for (const [index, { ruleId, version, draft }] of (chosen?.rules ?? []).entries()) {
    if (ruleId === undefined && draft === undefined) problems.add(`/with/rules/${index}`, 'Must have ruleId or draft.');
    if (version !== undefined && draft !== undefined)
      problems.add(`/with/rules/${index}/version`, 'Must not be used together with draft.');
  }
  for (const [index, { workflow, version, source }] of (chosen?.workflows ?? []).entries()) {
    if ((workflow === undefined) === (source === undefined))
      problems.add(`/with/workflows/${index}`, 'Must have either workflow or source.');
    if (version !== undefined && source !== undefined)
      problems.add(`/with/workflows/${index}/version`, 'Must not be used together with source.');
  }
}

/** Only what is saved and in force may act. */
function checkChosen({ at, rules = [], workflows = [] }: ReplayWorld, problems: Problems): void {
  if (at !== undefined) problems.add('/with/at', 'Must be used with mode what_if only.');
  if (rules.length + workflows.length === 0)
    problems.add(
      '/with',
      'Must name the rules or workflows that are to act: { rules: [{ ruleId }], workflows: [{ workflow }] }.',
    );
  for (const [index, { version, draft }] of rules.entries())
    if (version !== undefined || draft !== undefined)
      problems.add(`/with/rules/${index}`, 'Must have ruleId alone: the rule acts as it is now.');
  for (const [index, { version, source }] of workflows.entries())
    if (version !== undefined || source !== undefined)
      problems.add(`/with/workflows/${index}`, 'Must have workflow alone: the workflow acts as it is now.');
}

/** Which events a checked request selects, and where in the log they are. */
export interface Selection {
  readonly query: EventQuery;
  readonly range: AskedRange;
}

/** @param upTo where the log ended at the time of the request. */
export function selectionOf(request: ReplayRequest, orgId: string, upTo: bigint): Selection {
  const { filter = {}, by = 'receivedAt' } = request;
  const { type = [], source, subject, correlation, expression } = filter;
  const types = typeof type === 'string' ? [type] : type;
  const [from, to] = [boundOf(request.from, '/from', IGNORED), boundOf(request.to, '/to', IGNORED)];
  const range: AskedRange = { orgId, by, from, to, ...(types.length > 0 && { matchesType: typeMatcher(types) }) };
  const correlationId = correlation === undefined ? undefined : eventUuidOf(correlation);
  const query: EventQuery = {
    orgId,
    types,
    by,
    order: 'asc',
    limit: Infinity,
    ...(source !== undefined && { source }),
    ...(subject !== undefined && { subject }),
    ...(correlationId !== undefined && { correlation: correlationId }),
    ...(from && ('time' in from ? { from: from.time } : { fromPosition: from.position })),
    ...(to && 'time' in to && { to: to.time }),
    toPosition: to && 'position' in to && to.position < upTo ? to.position : upTo,
    ...(expression !== undefined && { filter: compile(expression) }),
  };
  return { query, range };
}

/** The request was checked when it came in. */
const IGNORED = new Problems('replay');

/** A replay as its stream tells it. */
export interface KnownReplay {
  readonly kind: 'waiting' | 'running' | 'ended';
  readonly requested: RecordedEvent<'replay.requested'>;
  readonly last: RecordedEvent;
}

/** @throws Rejected `replay.not_found` */
export async function readReplay(store: EventStore, id: string): Promise<KnownReplay> {
  const events = await readWhole(store, streams.replay(id));
  const [requested] = events;
  const last = events.at(-1);
  if (!requested?.is('replay.requested') || !last) throw notFound(id);
  const kind = last.is('replay.requested') ? 'waiting' : last.is('replay.started') ? 'running' : 'ended';
  return { kind, requested, last };
}

/**
 * Records what `decide` makes of a replay as it is. Each type is recorded once: a process that tries again meets what it
 * recorded before.
 * @returns the position of the last event of the replay.
 */
export async function changeReplay(
  store: EventStore,
  id: string,
  by: { readonly actor: string; readonly now: Date },
  decide: (replay: KnownReplay) => EventDraft | undefined,
): Promise<bigint> {
  for (;;) {
    const replay = await readReplay(store, id);
    const draft = decide(replay);
    if (!draft) return replay.last.position;
    const { orgId, subject } = replay.requested.metadata;
    const event = newEvent(draft, {
      id: uuid5('replay', id, draft.type),
      orgId,
      subject,
      ...by,
      cause: causedBy(replay.requested),
    });
    try {
      return (await store.append(streams.replay(id), [event], replay.last.revision)).position;
    } catch (error) {
      if (!(error instanceof WrongRevision)) throw error;
    }
  }
}

export const notFound = (id: string): Rejected =>
  new Rejected(
    'not_found',
    'replay.not_found',
    `There is no replay ${id}. GET /api/v1/replays lists the existing ones.`,
  );

/** The queue of replays; the key is the replay's id. */
export const REPLAYS = followers.replays;

/** All that there is to know stands in the stream of the replay. */
export type ReplayTask = Record<string, never>;
