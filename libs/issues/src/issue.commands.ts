import { type Author, ThingCommand } from '#libs/event-store/src/command-handlers.js';

import type { Issue, IssueChanges, IssueFields } from './issue.js';

export class OpenIssue extends ThingCommand<Issue> {
  constructor(
    id: string,
    author: Author,
    readonly fields: IssueFields,
  ) {
    super(id, author);
  }
}

export class UpdateIssue extends ThingCommand<Issue> {
  constructor(
    id: string,
    author: Author,
    readonly changes: IssueChanges,
  ) {
    super(id, author);
  }
}

export class CommentOnIssue extends ThingCommand<Issue> {
  constructor(
    id: string,
    author: Author,
    readonly commentId: string,
    readonly body: string,
  ) {
    super(id, author);
  }
}
