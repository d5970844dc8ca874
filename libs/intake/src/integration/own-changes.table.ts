import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { type Cause, causedBy, eventIdOf, eventUuidOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';

/** Who did something to which issue, as the tracker names them. */
export interface DoneBy {
  readonly actor: string;
  readonly issue: string;
}

/** A tracker reports a change within seconds. Later, the same account is taken for a person. */
const ECHO_MS = 120_000;
const MOST = 10_000;

/**
 * What we have just changed in trackers, and as whom. A label or a closed issue carries no mark: when the tracker reports it,
 * the account and the issue tell that it follows from our own request. The account is known from the first answer of the
 * tracker on.
 */
export class OwnChanges implements Table {
  readonly name = followers.ownChanges;
  readonly reads = ['issue.requested', 'tracker.attempted', 'tracker.issue_opened', 'tracker.issue_commented'] as const;
  incomplete = false;
  /** Requests that change an existing issue, by their ids. */
  private readonly requests = new BoundedMap<string, { readonly issue: string; readonly cause: Cause }>(MOST);
  private readonly changes = new BoundedMap<string, { readonly cause: Cause; readonly at: number }>(MOST);
  /** Accounts of the tokens, by integration. */
  private readonly accounts = new Map<string, string>();

  clear(): void {
    for (const map of [this.requests, this.changes, this.accounts]) map.clear();
  }

  apply(event: RecordedEvent): void {
    if (event.is('issue.requested')) {
      const { issue } = event.data;
      if (issue !== undefined) this.requests.set(eventIdOf(event.id), { issue, cause: causedBy(event) });
      return;
    }
    if (!event.is('tracker.attempted', 'tracker.issue_opened', 'tracker.issue_commented')) return;
    const { requestId, integrationId } = event.data;
    const request = eventUuidOf(requestId);
    // The stream says who wrote.
    if (integrationId === undefined || request === undefined || event.stream !== streams.tracked(request)) return;
    const { account } = event.data as { readonly account?: string };
    if (account !== undefined) this.accounts.set(integrationId, account);
    const change = this.requests.get(requestId);
    if (change)
      this.changes.set(keyOf(integrationId, change.issue), { cause: change.cause, at: event.created.getTime() });
  }

  /** What an event that the tracker reports follows from, if we did it. */
  causeOf(integrationId: string, { actor, issue }: DoneBy, now: Date): Cause | undefined {
    if (this.accounts.get(integrationId) !== actor) return undefined;
    const change = this.changes.get(keyOf(integrationId, issue));
    return change && now.getTime() - change.at <= ECHO_MS ? change.cause : undefined;
  }
}

const keyOf = (integrationId: string, issue: string): string => `${integrationId} ${issue}`;
