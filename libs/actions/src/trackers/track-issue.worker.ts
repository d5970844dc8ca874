import type { Keyring } from '#libs/access/src/secrets/keyring.js';
import { type RecordedEvent, WrongRevision } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readLast } from '#libs/event-store/src/reading.js';
import { causeBelongsTo, causedBy, eventIdOf, eventUuidOf } from '#libs/events/src/envelope.js';
import { againText } from '#libs/events/src/shapes/issue-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';
import {
  hiddenMark,
  markOf,
  misconfigured,
  type TrackedIssue,
  type Tracker,
  type TrackerContext,
} from '#libs/plugin-sdk/src/services/define-tracker.js';

import { type AttemptTask, TRACKERS } from '../attempts/attempt-task.js';
import {
  type Attempt,
  type Done,
  RecordedAttempts,
  type RecordedAttemptsParts,
} from '../attempts/recorded-attempts.js';
import type { Connection } from '../connections/connection.table.js';
import { originOf } from '../connections/origin.js';

export interface TrackIssueParts extends RecordedAttemptsParts {
  readonly keyring: Keyring;
}

type Requested = RecordedEvent<'issue.requested'>;

/**
 * Opens issues in trackers outside, or comments on the open one with the same dedupe key. A hidden mark in the body names the
 * request: after an attempt that may have opened an issue it is looked for. The mark also carries, encrypted, which events led
 * to the issue: when the tracker tells of it, that event follows from them, so that no loop goes round outside.
 */
export class TrackIssue implements Worker<AttemptTask> {
  readonly queue = TRACKERS;
  readonly concurrency = 16;
  readonly writes = [
    'tracker.attempted',
    'tracker.attempt_failed',
    'tracker.key_taken',
    'tracker.issue_opened',
    'tracker.issue_commented',
    'tracker.failed',
  ] as const;
  private readonly attempts: RecordedAttempts<'issue.requested'>;

  constructor(private readonly parts: TrackIssueParts) {
    this.attempts = new RecordedAttempts(
      {
        requested: 'issue.requested',
        integration: ({ data }) => data.tracker!,
        queue: TRACKERS,
        stream: streams.tracked,
        begun: 'tracker.attempted',
        retried: 'tracker.attempt_failed',
        failed: 'tracker.failed',
        word: 'tracker',
      },
      parts,
    );
  }

  run(work: ClaimedWork<AttemptTask>, signal: AbortSignal): Promise<WorkDone> {
    return this.attempts.run(work, signal, (request, attempt) => this.act(request, attempt));
  }

  /** @throws StepError */
  private async act(request: Requested, attempt: Attempt): Promise<Done> {
    const { store } = this.parts;
    const { dedupeKey } = request.data;
    const { connection, mayHaveArrived } = attempt;
    const tracker = attempt.provider?.tracker;
    if (!tracker)
      throw misconfigured(
        'tracker.cannot_open',
        `The provider ${connection.provider} is no tracker. Use an integration of github or gitlab, or builtin.`,
      );
    const origin = await originOf(store, request, connection);
    const context: TrackerContext = { ...attempt.context, event: origin?.data };
    const { provider } = connection;
    if (request.data.issue !== undefined) {
      const changed = await this.change(request, tracker, request.data.issue, mayHaveArrived, context);
      return { type: 'tracker.issue_commented', data: { provider, ...changed } };
    }
    if (dedupeKey !== undefined) {
      const stream = streams.trackerKey(connection.id, dedupeKey);
      const last = await readLast(store, stream);
      const holder = await this.holderOf(request, last);
      const known = holder === undefined ? undefined : await tracker.get(holder, context);
      if (known?.isOpen) {
        const commented = await this.comment(request, tracker, known, againText(request.data), mayHaveArrived, context);
        return { type: 'tracker.issue_commented', data: { provider, ...commented } };
      }
      // Nobody has the key, or the issue that had it is closed or gone.
      await this.takeKey(request, connection, dedupeKey, last);
    }
    const found = mayHaveArrived ? await tracker.find(markOf(request.id), context) : undefined;
    const issue = found ?? (await tracker.create(this.issueOf(request), context));
    return { type: 'tracker.issue_opened', data: { provider, issue: shownIssue(issue), ...accountOf(issue) } };
  }

  /** An existing issue gets a comment and labels, and is closed. */
  private async change(
    request: Requested,
    tracker: Tracker,
    id: string,
    mayHaveArrived: boolean,
    context: TrackerContext,
  ): Promise<object> {
    const { title, body, close = false, tracker: name } = request.data;
    const labels = labelsOf(request);
    const changes = close || labels.length > 0;
    if (changes && !tracker.change)
      throw misconfigured(
        'tracker.cannot_change',
        `The tracker "${name}" cannot label or close issues. Comment on it alone.`,
      );
    const known = await tracker.get(id, context);
    if (!known)
      throw misconfigured('tracker.unknown_issue', `The tracker "${name}" has no issue "${id}". Use its number.`);
    const commented = await this.comment(request, tracker, known, body ?? title, mayHaveArrived, context);
    if (changes) await tracker.change!(known.id, { labels, close }, context);
    return commented;
  }

  private async comment(
    request: Requested,
    tracker: Tracker,
    issue: TrackedIssue,
    text: string,
    mayHaveArrived: boolean,
    context: TrackerContext,
  ): Promise<object> {
    const found = mayHaveArrived ? await tracker.findComment(issue.id, markOf(request.id), context) : undefined;
    const made = found ?? (await tracker.comment(issue.id, `${text}\n\n${this.mark(request)}`, context));
    const { commentId } = made;
    return { issue: shownIssue(issue), ...(commentId !== undefined && { commentId }), ...accountOf(made) };
  }

  /**
   * The issue that has the key; `undefined` if this request has it or may take it.
   * @param last the newest event of the stream of the key.
   * @throws Transient while it is not known what became of the request that has it.
   */
  private async holderOf(request: Requested, last: RecordedEvent | undefined): Promise<string | undefined> {
    if (!last?.is('tracker.key_taken')) return undefined;
    const other = eventUuidOf(last.data.requestId)!;
    if (other === request.id) return undefined;
    const outcome = await readLast(this.parts.store, streams.tracked(other));
    if (outcome?.is('tracker.issue_opened')) return outcome.data.issue.id;
    if (outcome?.is('tracker.failed')) return undefined;
    throw new Transient('tracker.key_busy', 'another issue with this dedupe key is being opened');
  }

  /** Requests take a key one after the other: whoever has not seen the newest one looks again. */
  private async takeKey(
    request: Requested,
    connection: Connection,
    dedupeKey: string,
    last: RecordedEvent | undefined,
  ): Promise<void> {
    const { store, clock } = this.parts;
    const id = uuid5(TRACKERS, 'key', request.id);
    if (last?.id === id) return;
    const { orgId, actor, subject } = request.metadata;
    const data = { requestId: eventIdOf(request.id), dedupeKey, integrationId: connection.id };
    const context = { id, orgId, actor, subject, now: clock.now(), cause: causedBy(request) };
    const event = newEvent({ type: 'tracker.key_taken', data }, context);
    try {
      await store.append(streams.trackerKey(connection.id, dedupeKey), [event], last?.revision ?? 'no-stream');
    } catch (error) {
      if (error instanceof WrongRevision)
        throw new Transient('tracker.key_busy', 'another issue takes this dedupe key');
      throw error;
    }
  }

  private issueOf(request: Requested) {
    const { title, body, assignee } = request.data;
    return {
      title,
      body: `${body === undefined ? '' : `${body}\n\n`}${this.mark(request)}`,
      labels: labelsOf(request),
      ...(assignee !== undefined && { assignee }),
    };
  }

  private mark(request: Requested): string {
    const { keyId, bytes } = this.parts.keyring.seal(
      stringifyJson(causedBy(request)),
      causeBelongsTo(request.metadata.orgId),
    );
    return hiddenMark(request.id, `${keyId}.${bytes.toString('base64url')}`);
  }
}

const labelsOf = ({ data: { labels = [], priority } }: Requested): readonly string[] => [
  ...labels,
  ...(priority === undefined ? [] : [`priority: ${priority}`]),
];

const accountOf = ({ account }: Pick<TrackedIssue, 'account'>) =>
  typeof account === 'string' && account !== '' ? { account } : {};

/** A plug-in may return anything. */
const shownIssue = ({ id, url }: TrackedIssue) => ({
  id: String(id),
  ...(typeof url === 'string' && url !== '' && { url }),
});
