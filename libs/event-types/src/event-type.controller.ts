import { Body, Controller, Get, HttpCode, Inject, Param, Post, Put, Query } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers, AnswersPage, Takes } from '#libs/access/src/shapes.controller.js';
import { carryOut } from '#libs/event-store/src/carry-out.js';
import type { ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { pageOfTable, refuseIncomplete } from '#libs/event-store/src/table-page.js';
import { catalogue, type EventType, shownDefinition } from '#libs/events/src/catalogue.js';
import type { EventDefinition } from '#libs/events/src/define-event.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import {
  EventTypeAnswer,
  EventTypeCheck,
  EventTypeVersion,
  EventTypeVersionAnswer,
  NewEventType,
} from '#libs/events/src/shapes/event-types/event-type-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { personalProblems } from '#libs/expressions/src/personal/personal-fields.js';
import type { Page } from '#libs/kernel/src/paging.js';
import type { Problems } from '#libs/kernel/src/problems.js';

import { schemaProblems } from './own-schema.js';
import {
  ArchiveEventType,
  eventTypeIdOf,
  eventTypeNotFound,
  type OwnType,
  reservedName,
  SaveEventType,
} from './own-type.js';
import { type KnownType, OwnTypeTable } from './own-type.table.js';

const builtIn: readonly EventTypeAnswer[] = Object.entries(catalogue as Readonly<Record<string, EventDefinition>>).map(
  ([type, { description, system, version }]) => {
    const { data, example } = shownDefinition(type as EventType);
    return {
      type,
      description,
      builtIn: true,
      system: system === true,
      version: version ?? 1,
      archived: false,
      schema: data,
      example,
      personal: null,
      updatedAt: null,
    };
  },
);

@ApiTags('event types')
@Controller('api/v1/event-types')
export class EventTypeController {
  constructor(
    @Inject(CommandBus) readonly commands: CommandBus,
    @Inject(Progress) readonly progress: Progress,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(OwnTypeTable) private readonly table: OwnTypeTable,
  ) {}

  @Post()
  @Roles('designer', 'integrator')
  @ApiOperation({
    summary: 'Create an event type',
    description: 'Events of it can be published from this answer on. The same request again changes nothing.',
  })
  @Takes(NewEventType)
  @Answers(EventTypeAnswer, 201)
  async create(@CurrentCaller() caller: Caller, @Body() sent: object): Promise<EventTypeAnswer> {
    const { type, ...content } = checkedType(sent);
    return this.run(new SaveEventType(caller, type, content, true));
  }

  @Post('validate')
  @Roles('designer', 'integrator', 'auditor')
  @HttpCode(200)
  @ApiOperation({ summary: 'Check an event type without saving it', description: 'Problems are answered with 422.' })
  @Takes(NewEventType)
  @Answers(EventTypeCheck)
  validate(@Body() sent: object): EventTypeCheck {
    const { type } = checkedType(sent);
    return { valid: true, type };
  }

  @Get()
  @ApiOperation({
    summary: 'List event types with their JSON Schema and an example',
    description: 'By name; all of them without `limit`.',
  })
  @AnswersPage(EventTypeAnswer)
  list(
    @CurrentCaller() { orgId }: Caller,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Page<EventTypeAnswer> {
    const all = [...builtIn, ...this.table.list(orgId).map(answerOf)].sort((a, b) => (a.type < b.type ? -1 : 1));
    const typeOf = ({ type }: EventTypeAnswer): string => type;
    if (limit !== undefined) return pageOfTable(this.table, all, { limit, cursor }, typeOf);
    // Without a limit all of them: they are in memory.
    refuseIncomplete(this.table);
    return { data: all, nextCursor: null };
  }

  @Get(':type')
  @ApiOperation({ summary: 'One event type' })
  @Answers(EventTypeAnswer)
  view(@CurrentCaller() { orgId }: Caller, @Param('type') type: string): EventTypeAnswer {
    const found = builtIn.find((one) => one.type === type);
    if (found) return found;
    const own = this.table.find(orgId, type);
    if (!own) throw eventTypeNotFound(type);
    return answerOf(own);
  }

  @Get(':type/versions')
  @ApiOperation({ summary: 'List the versions of an event type of your own', description: 'Newest first.' })
  @AnswersPage(EventTypeVersionAnswer)
  async versions(
    @CurrentCaller() { orgId }: Caller,
    @Param('type') type: string,
  ): Promise<{ data: EventTypeVersionAnswer[]; nextCursor: null }> {
    const events = await readWhole(this.store, streams.eventType(eventTypeIdOf(orgId, type)));
    const data = new Map<number, EventTypeVersionAnswer>();
    for (const event of events) {
      if (!event.is('event_type.saved') || data.has(event.data.version)) continue;
      const { version, description, schema, example, personal } = event.data;
      const { timestamp: createdAt, actor: createdBy } = event.metadata;
      data.set(version, {
        version,
        description,
        schema,
        example,
        ...(personal && { personal }),
        createdAt,
        createdBy,
      });
    }
    if (data.size === 0) throw eventTypeNotFound(type);
    return { data: [...data.values()].reverse(), nextCursor: null };
  }

  @Put(':type')
  @Roles('designer', 'integrator')
  @ApiOperation({
    summary: 'Save a new version of an event type',
    description: 'Events that are published from this answer on must fit it. Also restores an archived type.',
  })
  @Takes(EventTypeVersion)
  @Answers(EventTypeAnswer)
  async update(
    @CurrentCaller() caller: Caller,
    @Param('type') type: string,
    @Body() sent: object,
  ): Promise<EventTypeAnswer> {
    const content = checkBody(EventTypeVersion, sent, { prefix: 'event_type', check: checkContent });
    return this.run(new SaveEventType(caller, type, content, false));
  }

  @Post(':type/archive')
  @Roles('designer', 'integrator')
  @HttpCode(200)
  @ApiOperation({ summary: 'Archive an event type', description: 'It accepts no new events. Earlier events stay.' })
  @Answers(EventTypeAnswer)
  archive(@CurrentCaller() caller: Caller, @Param('type') type: string): Promise<EventTypeAnswer> {
    return this.run(new ArchiveEventType(caller, type));
  }

  private async run(command: ThingCommand<OwnType> & { readonly type: string }): Promise<EventTypeAnswer> {
    const { state } = await carryOut(this, command, this.table.name);
    if (state.kind === 'unknown') throw eventTypeNotFound(command.type);
    return answerOf(state);
  }
}

function checkedType(sent: object): NewEventType {
  const check = (given: NewEventType, problems: Problems): void => {
    const type = problems.part(given, 'type');
    const reserved = type === undefined ? undefined : reservedName(type);
    if (reserved !== undefined) problems.add('/type', reserved);
    checkContent(given, problems);
  };
  return checkBody(NewEventType, sent, { prefix: 'event_type', check });
}

function checkContent(given: EventTypeVersion, problems: Problems): void {
  const [schema, example] = [problems.part(given, 'schema'), problems.part(given, 'example')];
  if (schema && example) problems.addAll(schemaProblems(schema, example));
  const personal = problems.part(given, 'personal');
  if (personal) problems.addAll(personalProblems(personal, '/personal'));
}

const answerOf = ({ type, kind, version, content, updatedAt }: KnownType): EventTypeAnswer => ({
  type,
  description: content.description,
  builtIn: false,
  system: false,
  version,
  archived: kind === 'archived',
  schema: content.schema,
  example: content.example,
  personal: content.personal ?? null,
  updatedAt,
});
