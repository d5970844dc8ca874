import { type EventToAppend, platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { actedBy, type Cause, eventIdOf, personalOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import type { EventPlace } from '#libs/events/src/types/workflow.events.js';
import { formatDuration } from '#libs/kernel/src/time/durations.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid5, type Uuid } from '#libs/kernel/src/ids.js';
import { keyText } from '#libs/kernel/src/json.js';
import { storable } from '#libs/kernel/src/text/text.js';
import type { Place } from '#libs/persistence/src/claims/work.js';

import { decide, type Decision } from '../engine/decide.js';
import type { RunDraft, World } from '../engine/run-decision.js';
import { evolve, type StartedRun } from '../engine/run-state.js';
import { startRun } from '../engine/start-run.js';
import type { Definition } from '../language/definition.js';

/** A run that is about to begin. */
export interface NewRun {
  readonly runId: string;
  readonly orgId: string;
  readonly workflow: {
    readonly id: string;
    readonly name: string;
    readonly version: string;
    readonly definition: Definition | undefined;
  };
  readonly trigger: DataOf<'workflow.started'>['trigger'];
  readonly inputs: Record<string, unknown>;
  /** The run whose step asked for this one. */
  readonly parent?: { readonly runId: string; readonly path: string };
  /** What the run is about. */
  readonly event: RecordedEvent | undefined;
  /** All events that led to it, where a batch collected several; `event` is the last of them. */
  readonly events?: readonly RecordedEvent[];
  /** Names the workflow too. Absent where a person or program outside asked for the run. */
  readonly cause: Cause | undefined;
  /** Keys of the people of whom it has personal data besides those of its cause. */
  readonly personal?: readonly string[];
  /** Milliseconds. */
  readonly retrySchedule: readonly number[];
  /** The run that this one does again. */
  readonly restartOf?: string;
  /** What it takes over from that one, for the stream of this one. */
  readonly reused?: readonly RunDraft[];
  /** Who asked for it, where that is not the run's own doing. */
  readonly by?: string;
}

const MAX_KEY = 200;

/** Whose turn the run has to wait for. A key that cannot be computed is one key: such runs go one after the other. */
export function concurrencyOf(
  workflowId: string,
  { concurrency }: Definition,
  inputs: Record<string, unknown>,
  event: RecordedEvent | undefined,
): DataOf<'workflow.started'>['concurrency'] {
  if (!concurrency) return undefined;
  const { key, limit, onConflict, maxQueued, whileWaiting } = concurrency;
  const value = key ? filledIn(() => key.render({ event: event ? platformEvent(event) : null, inputs })) : '';
  // As the rows of the queue hold it: a key that they change would be another one at each look.
  const text = storable(keyText(value));
  const kept = text.length > MAX_KEY ? uuid5('concurrency', text) : text;
  const release = whileWaiting === 'release' ? { whileWaiting } : {};
  return { key: `${workflowId} ${kept}`, limit, onConflict, maxQueued, ...release };
}

function filledIn(render: () => unknown): unknown {
  try {
    return render();
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    return error.code;
  }
}
/** Where the log keeps an event. */
export const placeOf = ({ id, type, stream, revision }: RecordedEvent): EventPlace => ({
  id: eventIdOf(id),
  type,
  stream,
  revision: String(revision),
});

/** The first event of a run. Where it is in the log, all of its first append is. */
export const firstEventOf = (runId: string): Uuid => uuid5(followers.startRuns, runId, '0');

export interface FirstAppend {
  readonly events: readonly EventToAppend[];
  /** The last that was decided; absent where the run waits for its turn. */
  readonly decision?: Decision;
  /** Set if its attempts begin here, once the events are in the log. */
  readonly place?: Place;
}

/**
 * The first append of a run: its start, and all that can be decided without doing anything in the world. A run whose steps
 * have no effects is over in this one append. Of the others it holds the start of the first attempts too, where a worker of this
 * process has a place for the run; else they are left to a worker.
 * @param take gives such a place.
 */
export function firstAppend(
  {
    runId,
    orgId,
    workflow,
    trigger,
    inputs,
    parent,
    event,
    events,
    cause,
    personal,
    retrySchedule,
    by,
    restartOf,
    reused = [],
  }: NewRun,
  now: Date,
  take: () => Place | undefined = () => undefined,
): FirstAppend {
  const concurrency = workflow.definition && concurrencyOf(workflow.id, workflow.definition, inputs, event);
  const started = startRun(
    {
      runId,
      workflowId: workflow.id,
      workflow: workflow.name,
      version: workflow.version,
      trigger,
      inputs,
      ...(parent && { parent }),
      ...(event && { event: placeOf(event) }),
      ...(events && { events: events.map(placeOf) }),
      settings: { retrySchedule: retrySchedule.map(formatDuration) },
      hop: cause?.hop ?? 0,
      ...(restartOf !== undefined && { restartOf }),
      ...(concurrency && { concurrency }),
    },
    now,
  );
  const timestamp = now.toISOString();
  const begun = reused.reduce((run, draft) => evolve(run, { ...draft, timestamp }) as StartedRun, started.run);
  // Others of its key may be under way: a worker takes it up when it is its turn.
  const { definition } = workflow;
  const decideFrom = (run: StartedRun, attempting: 'leave' | 'begin'): Decision =>
    decide(run, { definition: definition!, now, ...aboutOf({ event, events }), outcomes: new Map(), attempting });
  const computed = concurrency === undefined && definition ? decideFrom(begun, 'leave') : undefined;
  const here = computed?.isUnfinished ? beginHere(take, () => decideFrom(computed.run, 'begin')) : undefined;
  const decision = here?.decision ?? computed;
  const subject = `run/${runId}`;
  const first = firstEventOf(runId);
  // Where a person started the run, its first event is the cause of the others.
  const story = { $correlationId: first, hop: 0, ...actedBy([], workflow.id) };
  const rest: Cause = cause ?? { ...story, $causationId: first };
  const keys = personalOf({ ...cause }, { personal });
  const [start, ...more] = started.drafts;
  const claim = here && { process: here.place.process, number: here.place.claim };
  const drafts: RunDraft[] = [{ ...start!, data: { ...start!.data, ...(claim && { claim }) } }, ...more, ...reused];
  const decided = [...(computed?.drafts ?? []), ...(here?.decision.drafts ?? [])];
  const appended = [...drafts, ...decided].map((draft, index) =>
    newEvent(draft, {
      // With the claim: who comes second must not take the events of the first for its own, and begin too.
      id: draft.id ?? uuid5(followers.startRuns, runId, String(index), ...(claim && index > 0 ? [claim.number] : [])),
      orgId,
      actor: index === 0 ? (by ?? subject) : subject,
      now,
      subject,
      cause: { ...(index === 0 ? (cause ?? story) : rest), ...keys },
    }),
  );
  return { events: appended, ...(decision && { decision }), ...(here && { place: here.place }) };
}

/** What can be decided beyond what only computes, if that begins an attempt and there is a place for it. */
function beginHere(take: () => Place | undefined, decideOn: () => Decision) {
  const place = take();
  if (!place) return undefined;
  let isTaken = false;
  try {
    const decision = decideOn();
    isTaken = decision.attempts.length > 0;
    return isTaken ? { place, decision } : undefined;
  } finally {
    if (!isTaken) place.release();
  }
}

/** What a run is about, as its decisions see it. */
export const aboutOf = ({
  event,
  events,
}: Pick<NewRun, 'event'> & { readonly events?: NewRun['events'] | undefined }): Pick<World, 'event' | 'events'> => ({
  event: event && platformEvent(event),
  ...(events && { events: events.map((one) => platformEvent(one)) }),
});
