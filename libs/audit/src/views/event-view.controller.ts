import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Put, Query } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers, AnswersPage, Takes } from '#libs/access/src/shapes.controller.js';
import { carryOut } from '#libs/event-store/src/carry-out.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { pageOfTable } from '#libs/event-store/src/table-page.js';
import { EventViewAnswer, EventViewChange, NewEventView } from '#libs/events/src/shapes/audit/event-view-shape.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { parseQuery } from '../event-parameters.js';
import { eventViewNotFound, RemoveEventView, SaveEventView, type ViewFilter } from './event-view.js';
import { EventViewTable, type SavedView } from './event-view.table.js';

/** Searches of the log under a name: `GET /api/v1/events?view=name`. */
@ApiTags('events')
@Controller('api/v1/event-views')
export class EventViewController {
  constructor(
    @Inject(CommandBus) readonly commands: CommandBus,
    @Inject(Progress) readonly progress: Progress,
    @Inject(EventViewTable) private readonly table: EventViewTable,
  ) {}

  @Post()
  @Roles('designer', 'integrator', 'auditor')
  @ApiOperation({ summary: 'Save a view of the log', description: 'The same request again changes nothing.' })
  @Takes(NewEventView)
  @Answers(EventViewAnswer, 201)
  async create(@CurrentCaller() caller: Caller, @Body() sent: object): Promise<EventViewAnswer> {
    const { name, filter } = checkBody(NewEventView, sent, { prefix: 'event_view' });
    return this.save(caller, name, filter, true);
  }

  @Get()
  @ApiOperation({ summary: 'List saved views', description: 'By name.' })
  @AnswersPage(EventViewAnswer)
  list(@CurrentCaller() { orgId }: Caller, @Query('limit') limit?: string, @Query('cursor') cursor?: string) {
    return pageOfTable(this.table, this.table.list(orgId).map(answerOf), { limit, cursor }, ({ name }) => name);
  }

  @Get(':name')
  @ApiOperation({ summary: 'One saved view' })
  @Answers(EventViewAnswer)
  view(@CurrentCaller() { orgId }: Caller, @Param('name') name: string): EventViewAnswer {
    return answerOf(this.table.find(orgId, name));
  }

  @Put(':name')
  @Roles('designer', 'integrator', 'auditor')
  @ApiOperation({ summary: 'Change the filter of a saved view' })
  @Takes(EventViewChange)
  @Answers(EventViewAnswer)
  async change(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Body() sent: object,
  ): Promise<EventViewAnswer> {
    return this.save(caller, name, checkBody(EventViewChange, sent, { prefix: 'event_view' }).filter, false);
  }

  @Delete(':name')
  @Roles('designer', 'integrator', 'auditor')
  @HttpCode(204)
  @ApiOperation({ summary: 'Remove a saved view' })
  @ApiResponse({ status: 204 })
  async remove(@CurrentCaller() caller: Caller, @Param('name') name: string): Promise<void> {
    await carryOut(this, new RemoveEventView(caller, name), this.table.name);
  }

  private async save(caller: Caller, name: string, filter: ViewFilter, isNew: boolean): Promise<EventViewAnswer> {
    checkFilter(filter, caller.orgId);
    const { state } = await carryOut(this, new SaveEventView(caller, name, filter, isNew), this.table.name);
    if (state.kind !== 'saved') throw eventViewNotFound(name);
    return answerOf(state);
  }
}

/** What a search would refuse is refused here, with the place in the body. */
function checkFilter(filter: ViewFilter, orgId: string): void {
  try {
    parseQuery(filter, orgId, 'page');
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    // Of the JMESPath expression, which is a filter among others, no place is named.
    const at = (pointer: string): string => `/filter${pointer === '' ? '/filter' : pointer}`;
    const problems = error.problems.map((problem) => ({ ...problem, pointer: at(problem.pointer) }));
    throw new Rejected('invalid', 'event_view.invalid', 'The filter of the view is invalid.', { problems });
  }
}

const answerOf = ({ name, filter, createdBy, updatedAt }: SavedView): EventViewAnswer => ({
  ...{ name, filter, createdBy, updatedAt },
});
