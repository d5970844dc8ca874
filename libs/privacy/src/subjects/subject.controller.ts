import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers, AnswersPage, Takes } from '#libs/access/src/shapes.controller.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { appendOnce } from '#libs/event-store/src/append-once.js';
import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readLast } from '#libs/event-store/src/reading.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { SubjectAnswer, SubjectDetailAnswer, SubjectLookup } from '#libs/events/src/personal/subject-shape.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import type { Page } from '#libs/kernel/src/paging.js';

import { SubjectKeys } from '../keys/subject-keys.js';
import { StoredSubjects } from './stored-subjects.adapter.js';
import { hashIn, subjectIdOf } from './subject-id.js';

/** Events that tell of something that was sent to others. */
const SENT = [
  'webhook.delivered',
  'webhook.failed',
  'message.sent',
  'tracker.issue_opened',
  'tracker.issue_commented',
  'action.completed',
  'agent.finished',
  'agent.failed',
];
const MOST_SHOWN = 100;

/** Copies outside of the server. */
const COPIES = [
  'Exports of events and audit bundles hold the encrypted fields; those made through the API hold them in clear.',
  'A backup holds the keys that were in use when it was made. Delete backups from before the erasure.',
  'Steps of workflows may have sent values to other services.',
];

/** People of whom events have personal fields: found by the id that the sender gives them, and erased. */
@ApiTags('privacy')
@Controller('api/v1/subjects')
export class SubjectController {
  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(SubjectKeys) private readonly keys: SubjectKeys,
    @Inject(StoredSubjects) private readonly subjects: StoredSubjects,
    @Inject(EventReader) private readonly events: EventReader,
  ) {}

  @Get()
  @Roles('auditor')
  @ApiOperation({
    summary: 'List the people of whom events have personal fields',
    description: 'Hashes and states: the server does not know who they are.',
  })
  @AnswersPage(SubjectAnswer)
  list(
    @CurrentCaller() { orgId }: Caller,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<SubjectAnswer>> {
    return this.subjects.page(orgId, { limit, cursor });
  }

  @Post('lookup')
  @Roles('auditor')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Find a person by the id of the sender',
    description: 'The id is in the body, so that it is in no log of a proxy.',
  })
  @Takes(SubjectLookup)
  @Answers(SubjectDetailAnswer)
  async lookup(@CurrentCaller() { orgId }: Caller, @Body() sent: object): Promise<SubjectDetailAnswer> {
    const { id } = checkBody(SubjectLookup, sent, { prefix: 'subject' });
    return this.detail(orgId, await this.hashOf(orgId, id));
  }

  @Get(':id')
  @Roles('auditor')
  @ApiOperation({ summary: 'One person', description: 'By sub_… or by the id of the sender.' })
  @Answers(SubjectDetailAnswer)
  async view(@CurrentCaller() { orgId }: Caller, @Param('id') id: string): Promise<SubjectDetailAnswer> {
    return this.detail(orgId, await this.hashOf(orgId, id));
  }

  @Delete(':id')
  @Roles('admin')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Erase a person',
    description:
      'By sub_… or by the id of the sender. Destroys the keys: personal fields read { "$erased": true } from then on, and the log still verifies. Cannot be undone. The answer says what could not be reached.',
  })
  @Answers(SubjectDetailAnswer)
  async erase(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<SubjectDetailAnswer> {
    const { orgId, actor } = caller;
    const hash = await this.hashOf(orgId, id);
    const keys = await this.subjects.keysOf(orgId, hash);
    if (keys.length === 0) throw subjectNotFound();
    const names = keys.flatMap(({ name, inUse }) => (inUse ? [name] : []));
    if (names.length > 0) {
      const stream = streams.subject(orgId, hash);
      const last = await readLast(this.store, stream);
      const subjectId = subjectIdOf(hash);
      const event = newEvent(
        { type: 'subject.erased', data: { subjectId, keys: names } },
        {
          id: uuid5('subject.erased', orgId, ...names),
          orgId,
          actor,
          now: this.clock.now(),
          subject: `subject/${subjectId}`,
        },
      );
      const { position } = await appendOnce(this.store, stream, [event], last?.revision ?? 'no-stream');
      crashPoint('privacy.after-erased');
      await Promise.all(
        [followers.eraseSubjects, followers.erasedSubjects].map((name) => hasSeen(this.progress, name, position)),
      );
    }
    return this.detail(orgId, hash);
  }

  private async hashOf(orgId: string, id: string): Promise<string> {
    return hashIn(id) ?? this.keys.hash(orgId, id);
  }

  private async detail(orgId: string, hash: string): Promise<SubjectDetailAnswer> {
    const subject = await this.subjects.find(orgId, hash);
    if (!subject) throw subjectNotFound();
    await this.events.settle();
    const names = (await this.subjects.keysOf(orgId, hash)).map(({ name }) => name);
    const { total: events, ofTypes: sentTotal, newest } = await this.events.underKeys(orgId, names, SENT, MOST_SHOWN);
    const sent = newest.map(({ id, at, ...rest }) => ({ ...rest, eventId: eventIdOf(id), at: at.toISOString() }));
    return { ...subject, events, notReached: { sent, sentTotal, copies: COPIES } };
  }
}

const subjectNotFound = (): Rejected =>
  new Rejected(
    'not_found',
    'subject.not_found',
    'No event has personal fields of this person. Send the id exactly as the sender writes it, or sub_… from the list.',
  );
