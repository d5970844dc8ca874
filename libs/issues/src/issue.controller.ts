import { Body, Controller, Get, Inject, Param, Patch, Post, Query } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiProperty, ApiPropertyOptional, ApiQuery, ApiTags, PartialType } from '@nestjs/swagger';
import { ArrayMaxSize, IsArray, IsIn, IsOptional, IsString, Length, ValidateIf } from 'class-validator';
import { DataSource } from 'typeorm';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import { type Caller, newIdFor } from '#libs/access/src/caller.js';
import { Answers, AnswersPage } from '#libs/access/src/shapes.controller.js';
import { carryOut } from '#libs/event-store/src/carry-out.js';
import type { ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { CommentAnswer, IssueAnswer, IssueStatus } from '#libs/events/src/shapes/issue-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid5, uuid7 } from '#libs/kernel/src/ids.js';
import type { Page } from '#libs/kernel/src/paging.js';
import { readPage } from '#libs/persistence/src/paging.js';

import { CommentOnIssue, OpenIssue, UpdateIssue, type Issue, type IssueFields, notFound } from './issue.js';
import { rowOf } from './issue.projection.js';
import { IssueCommentView, IssueView } from './issue.view.js';

const STATUSES = IssueStatus.anyOf.map(({ const: status }) => status);
const isGiven = (_: unknown, value: unknown) => value !== undefined && value !== null;

export class NewIssue {
  @ApiProperty({ example: 'DB latency > 500ms' })
  @IsString()
  @Length(1, 500)
  title!: string;

  @ApiPropertyOptional({ description: 'Markdown.' })
  @ValidateIf(isGiven)
  @IsString()
  @Length(0, 65_536)
  body?: string | null;

  @ApiPropertyOptional({ enum: STATUSES, default: 'open' })
  @IsOptional()
  @IsIn(STATUSES, { message: `must be one of ${STATUSES.join(', ')}` })
  status?: IssueStatus;

  @ApiPropertyOptional({ example: 'high' })
  @ValidateIf(isGiven)
  @IsString()
  @Length(1, 100)
  priority?: string | null;

  @ApiPropertyOptional({ type: [String] })
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(50)
  @IsString({ each: true })
  @Length(1, 100, { each: true })
  labels?: string[];

  @ApiPropertyOptional()
  @ValidateIf(isGiven)
  @IsString()
  @Length(1, 200)
  assignee?: string | null;

  @ApiPropertyOptional()
  @ValidateIf(isGiven)
  @IsString()
  @Length(1, 200)
  team?: string | null;
}

/** What is given is changed; `null` removes a field. */
export class ChangedIssue extends PartialType(NewIssue) {}

export class NewComment {
  @ApiProperty({ description: 'Markdown.' })
  @IsString()
  @Length(1, 65_536)
  body!: string;
}

/** The built-in tracker. */
@ApiTags('issues')
@Controller('api/v1/issues')
export class IssueController {
  constructor(
    @Inject(CommandBus) readonly commands: CommandBus,
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(Progress) readonly progress: Progress,
  ) {}

  @Post()
  @Roles('designer', 'integrator')
  @ApiOperation({ summary: 'Open an issue' })
  @Answers(IssueAnswer, 201)
  async open(@CurrentCaller() caller: Caller, @Body() body: NewIssue): Promise<IssueAnswer> {
    const id = newIdFor(caller, 'iss');
    return this.after(new OpenIssue(id, caller, fieldsOf(body)));
  }

  @Get()
  @ApiOperation({ summary: 'List issues', description: 'Newest first.' })
  @ApiQuery({ name: 'status', enum: STATUSES, required: false })
  @ApiQuery({ name: 'assignee', required: false })
  @AnswersPage(IssueAnswer)
  async list(
    @CurrentCaller() { orgId }: Caller,
    @Query('status') status?: string,
    @Query('assignee') assignee?: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<IssueAnswer>> {
    const query = this.database.getRepository(IssueView).createQueryBuilder('issue');
    query.where('issue.orgId = :orgId', { orgId });
    if (status) query.andWhere('issue.status = :status', { status });
    if (assignee) query.andWhere('issue.assignee = :assignee', { assignee });
    const { rows, nextCursor } = await readPage(query, { limit, cursor }, { createdAt: 'time', id: 'text' }, 'DESC');
    return { data: rows.map(answerOf), nextCursor };
  }

  @Get(':id')
  @ApiOperation({ summary: 'One issue' })
  @Answers(IssueAnswer)
  async view(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<IssueAnswer> {
    return answerOf(await this.find(caller, id));
  }

  @Patch(':id')
  @Roles('designer', 'integrator')
  @ApiOperation({ summary: 'Change an issue', description: '`null` removes a field.' })
  @Answers(IssueAnswer)
  async change(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() body: ChangedIssue,
  ): Promise<IssueAnswer> {
    const changes = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined));
    for (const field of ['title', 'status', 'labels'])
      if (changes[field] === null)
        throw new Rejected('invalid', 'issue.invalid', `"${field}" must not be removed.`, {
          problems: [{ pointer: `/${field}`, detail: 'Must not be null.' }],
        });
    return this.after(new UpdateIssue(id, caller, changes));
  }

  @Get(':id/comments')
  @ApiOperation({ summary: 'Comments on an issue', description: 'Oldest first.' })
  @AnswersPage(CommentAnswer)
  async comments(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<CommentAnswer>> {
    await this.find(caller, id);
    const query = this.database.getRepository(IssueCommentView).createQueryBuilder('comment');
    query.where('comment.issueId = :id', { id });
    const { rows, nextCursor } = await readPage(query, { limit, cursor }, { position: 'number' });
    return { data: rows.map(commentAnswerOf), nextCursor };
  }

  @Post(':id/comments')
  @Roles('designer', 'integrator')
  @ApiOperation({ summary: 'Comment on an issue' })
  @Answers(CommentAnswer, 201)
  async comment(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() body: NewComment,
  ): Promise<CommentAnswer> {
    const { idempotencyKey: key, orgId } = caller;
    const commentId = key === undefined ? uuid7() : uuid5('comment', orgId, id, key);
    const command = new CommentOnIssue(id, caller, commentId, body.body);
    const { updatedAt } = await carryOut(this, command, followers.issueViews);
    return { id: commentId, body: body.body, createdBy: caller.actor, createdAt: updatedAt.toISOString() };
  }

  private async after(command: ThingCommand<Issue>): Promise<IssueAnswer> {
    const { state, ...told } = await carryOut(this, command, followers.issueViews);
    if (state.kind === 'unknown') throw notFound(command.id);
    return answerOf(rowOf({ ...told, state }));
  }

  private async find({ orgId }: Caller, id: string): Promise<IssueView> {
    const row = await this.database.getRepository(IssueView).findOneBy({ id, orgId });
    if (!row) throw notFound(id);
    return row;
  }
}

function fieldsOf({ title, body, status, priority, labels, assignee, team }: NewIssue): IssueFields {
  return {
    title,
    status: status ?? 'open',
    labels: labels ?? [],
    ...(body && { body }),
    ...(priority && { priority }),
    ...(assignee && { assignee }),
    ...(team && { team }),
  };
}

const answerOf = (row: Omit<IssueView, 'revision'>): IssueAnswer => ({
  id: row.id,
  title: row.title,
  body: row.body,
  status: row.status,
  priority: row.priority,
  labels: row.labels,
  assignee: row.assignee,
  team: row.team,
  dedupeKey: row.dedupeKey,
  comments: row.comments,
  createdBy: row.createdBy,
  createdAt: row.createdAt.toISOString(),
  updatedAt: row.updatedAt.toISOString(),
});

const commentAnswerOf = ({ id, body, createdBy, createdAt }: IssueCommentView): CommentAnswer => ({
  id,
  body,
  createdBy,
  createdAt: createdAt.toISOString(),
});
