import { Controller, Get, HttpCode, Inject, Param, Post, Req } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers, Takes } from '#libs/access/src/shapes.controller.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { missingFrom } from '#libs/event-store/src/subscriber.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { Backfill, BackfillRequest, WorkflowSchedule } from '#libs/events/src/shapes/workflow-shape.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { parseDateTime } from '#libs/kernel/src/time/times.js';

import { isSchedule } from '../triggers/schedule.trigger.js';
import { ticksAfter } from '../triggers/ticks.js';
import { notFound } from '../workflow/workflow.js';
import { type ActiveWorkflow, WorkflowTable } from '../workflow/workflow.table.js';
import { fireMissed, missedTicks } from './backfill.js';

const SHOWN = 10;

@ApiTags('workflows')
@Controller('api/v1/workflows/:name/schedule')
export class ScheduleController {
  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(WorkflowTable) private readonly table: WorkflowTable,
  ) {}

  @Get()
  @ApiOperation({ summary: 'When a workflow starts next', description: 'The next ten times of each schedule trigger.' })
  @Answers(WorkflowSchedule)
  next(@CurrentCaller() caller: Caller, @Param('name') name: string): WorkflowSchedule {
    const { definition, paused, archived, ...workflow } = this.find(caller, name);
    const disabled = definition?.disabled === true;
    const isIdle = paused || disabled || archived;
    const now = this.clock.now();
    const schedules = (definition?.triggers ?? []).flatMap((trigger, index) =>
      isSchedule(trigger)
        ? [
            {
              trigger: trigger.key,
              index,
              next: isIdle ? [] : ticksAfter(trigger.schedule.times, now, SHOWN).map((tick) => tick.toISOString()),
            },
          ]
        : [],
    );
    return { workflow: workflow.name, paused, disabled, archived, schedules };
  }

  @Post('backfill')
  @Roles('designer')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Start the runs that a schedule missed',
    description:
      'Counts the times of a range that never fired since the workflow has the schedule. Send the request again with this `count` to start a run for each. Repeat it if it does not answer: it goes on where it stopped and starts nothing twice.',
  })
  @Takes(BackfillRequest)
  @Answers(Backfill)
  async backfill(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Req() request: { body: unknown },
  ): Promise<Backfill> {
    const { from, to, count } = checkBody(BackfillRequest, request.body, { prefix: 'schedule' });
    const workflow = this.find(caller, name);
    const now = this.clock.now();
    const range = { from: timeIn(from, 'from'), to: timeIn(to, 'to') };
    if (range.from >= range.to) throw new Rejected('invalid', 'schedule.bad_range', '"from" must be before "to".');
    if (range.to > now) throw new Rejected('invalid', 'schedule.bad_range', '"to" must not be in the future.');
    const { missed, backfilled } = await missedTicks(this.store, workflow, range);
    if (count !== undefined) {
      checkStarts(workflow);
      // What a request that ended half way has started counts: the same request goes on where it stopped.
      if (count !== missed.length && count !== missed.length + backfilled)
        throw new Rejected(
          'conflict',
          'schedule.other_count',
          `${missed.length} ticks were missed in this range, not ${count}. Send "count": ${missed.length} to start them.`,
        );
      await fireMissed(this.store, workflow, missed, caller.actor, now);
    }
    const ticks = missed.map(({ trigger, at }) => ({ trigger, at: at.toISOString() }));
    return { count: missed.length, started: count !== undefined, ticks };
  }

  private find({ orgId }: Caller, name: string): ActiveWorkflow {
    const workflow = this.table.findAny(orgId, name);
    if (!workflow) throw missingFrom(this.table, notFound(name));
    return workflow;
  }
}

/** A tick that starts no run would be lost: it fires once. @throws Rejected */
function checkStarts({ name, definition, paused, archived }: ActiveWorkflow): void {
  const refused = (state: string, remedy: string): Rejected =>
    new Rejected('conflict', `workflow.${state}`, `"${name}" is ${state}. ${remedy} before the backfill.`);
  if (archived) throw refused('archived', 'Activate a version of it');
  if (definition?.disabled) throw refused('disabled', 'Remove "disabled: true" and save it');
  if (paused) throw refused('paused', 'Resume it');
}

function timeIn(text: string, field: string): Date {
  const time = parseDateTime(text);
  if (time === undefined)
    throw new Rejected('invalid', 'schedule.bad_range', `"${field}" must be an RFC 3339 time: 2026-11-20T09:00:00Z.`);
  return new Date(time);
}
