import type { JsonObject } from '#libs/kernel/src/json.js';

import type { SendContext } from './define-messenger.js';
import { StepError } from '../define-step.js';

/** An issue as rules and workflows ask for it (`create_issue`), its templates filled in. */
export interface NewIssue {
  readonly title: string;
  /** Markdown. Ends with a hidden mark, by which {@link Tracker.find} recognises it. */
  readonly body: string;
  readonly labels: readonly string[];
  /** A name of the service. */
  readonly assignee?: string | undefined;
}

export interface TrackedIssue {
  /** By which the service finds it again, such as its number. */
  readonly id: string;
  readonly url?: string | undefined;
  readonly isOpen: boolean;
  /** Of an issue that was just created: id of the account that the token belongs to. See `doneBy` of `normalise`. */
  readonly account?: string | undefined;
}

/** A comment that was made. */
export interface TrackedComment {
  readonly commentId?: string | undefined;
  /** Id of the account that the token belongs to. */
  readonly account?: string | undefined;
}

export interface TrackerContext extends SendContext {
  /** `data` of the event that led to the issue, if it came in through the same integration. */
  readonly event?: JsonObject | undefined;
}

/** What is changed of an issue. The same change again has no effect. */
export interface IssueChange {
  /** Added to those that it has. */
  readonly labels: readonly string[];
  readonly close: boolean;
}

/** The part of a provider that opens issues, comments on them and changes them. Each method throws a StepError for what went wrong. */
export interface Tracker {
  create(issue: NewIssue, context: TrackerContext): Promise<TrackedIssue>;
  /** The issue made since `context.since` whose body holds the mark: an earlier attempt may have opened it. */
  find(mark: string, context: TrackerContext): Promise<TrackedIssue | undefined>;
  /** As it is now; `undefined` if it is gone. */
  get(id: string, context: TrackerContext): Promise<TrackedIssue | undefined>;
  comment(id: string, body: string, context: TrackerContext): Promise<TrackedComment>;
  /** The comment made since `context.since` that holds the mark. */
  findComment(id: string, mark: string, context: TrackerContext): Promise<TrackedComment | undefined>;
  /** Left out: issues cannot be labelled or closed. */
  change?(id: string, change: IssueChange, context: TrackerContext): Promise<void>;
}

/** How the marks in the bodies of our issues begin; the UUID of the request follows. Nobody sees them: they are HTML comments. */
const MARK = 'millrace:';
const MARKED = /<!-- millrace:([0-9a-f-]{36}):([\w.-]{1,2000}) -->/;

/** By which {@link Tracker.find} looks. */
export const markOf = (request: string): string => `${MARK}${request}`;
/** What is written at the end of a body. @param cause encrypted: which events led to it. */
export const hiddenMark = (request: string, cause: string): string => `<!-- ${markOf(request)}:${cause} -->`;
/** The encrypted cause in a body that we wrote. */
export const causeIn = (body: string | undefined): string | undefined => MARKED.exec(body ?? '')?.[2];

/** What is wrong with the settings of an integration: no other attempt helps. */
export const misconfigured = (code: string, message: string): StepError =>
  new StepError({ code, message, type: 'configuration', retryable: false });

/** What is new since the first attempt, as a query has it: the clock of the service and ours may differ. */
export const sinceFirstAttempt = ({ since }: Pick<SendContext, 'since'>): string =>
  new Date(since.getTime() - 120_000).toISOString();

const PER_PAGE = 100;
const MAX_PAGES = 10;

/**
 * Looks through the pages of a list, 100 a page, for the first element that fits.
 * @param query sent with each page.
 * @throws StepError after ten pages: it is not known then, and nothing is done twice.
 */
export async function findInPages<One, Found>(
  list: (parameters: URLSearchParams) => Promise<readonly One[]>,
  query: Readonly<Record<string, string>>,
  look: (one: One) => Found | undefined,
): Promise<Found | undefined> {
  for (let page = 1; page <= MAX_PAGES; page++) {
    const ones = await list(new URLSearchParams({ ...query, per_page: String(PER_PAGE), page: String(page) }));
    for (const one of ones) {
      const found = look(one);
      if (found !== undefined) return found;
    }
    if (ones.length < PER_PAGE) return undefined;
  }
  throw new StepError({
    code: 'tracker.outcome_unknown',
    message: 'There are too many new issues to find out whether this one was opened. It was not opened again.',
    retryable: false,
  });
}
