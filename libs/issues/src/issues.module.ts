import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';

import { commandHandlers, on } from '#libs/event-store/src/command-handlers.js';

import { IssueController } from './issue.controller.js';
import { comment, issue, open, update, CommentOnIssue, OpenIssue, UpdateIssue } from './issue.js';
import { IssueProjection } from './issue.projection.js';
import { OpenIssues } from './open.subscriber.js';

/** The built-in issue tracker. */
@Module({
  imports: [CqrsModule],
  controllers: [IssueController],
  providers: [
    ...commandHandlers(issue, [on(OpenIssue, open), on(UpdateIssue, update), on(CommentOnIssue, comment)]),
    OpenIssues,
    IssueProjection,
  ],
  exports: [OpenIssues, IssueProjection],
})
export class IssuesModule {}
