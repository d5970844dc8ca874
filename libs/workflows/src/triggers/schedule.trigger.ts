import { Type } from '@sinclair/typebox';

import type { DataOf } from '#libs/events/src/catalogue.js';
import { formatDuration } from '#libs/kernel/src/time/durations.js';

import type { Trigger } from '../language/definition.js';
import { closed, described, Duration } from '../language/fields.js';
import { durationOf } from '../language/literals.js';
import { isTimezone, namedTimes, problemOfCron, shortestGap, type Times } from './ticks.js';
import type { TriggerKind } from './trigger-kind.js';

/** What becomes of times that were missed while nothing ran. */
export type Catchup = 'none' | 'last' | 'all';

/** Plain data: it is kept with the work that waits for the next time. */
export interface Schedule {
  readonly times: Times;
  readonly catchup: Catchup;
  readonly catchupWindowMs: number;
  readonly jitterMs: number;
}

export interface ScheduleTrigger extends Trigger {
  /** Its times as text: the trigger keeps its ticks when others are added before it. */
  readonly key: string;
  readonly schedule: Schedule;
}

const DAY_MS = 86_400_000;
/** The shortest `every`. */
const MIN_EVERY_MS = 1_000;
/** No schedule has ticks that are closer. */
const MIN_GAP_MS = MIN_EVERY_MS;

/** Starts a run at times. A tick is the event `schedule.fired`, which is in scope as `event`. */
export const scheduleTrigger: TriggerKind<ScheduleTrigger> = {
  name: 'schedule',
  shape: closed(
    {
      type: Type.Literal('schedule'),
      cron: Type.Optional(
        Type.String({
          minLength: 1,
          description:
            'Five fields: minute, hour, day of the month, month, day of the week. Where daylight saving skips the time, the run starts right after the gap; where it doubles it, once.',
          expected: 'a cron of five fields, such as "0 9 * * 1-5"',
        }),
      ),
      every: Type.Optional(
        described(
          Duration,
          'In place of `cron`: a duration of at least 1s, counted from midnight UTC, 1 January 1970.',
        ),
      ),
      timezone: Type.Optional(
        Type.String({
          minLength: 1,
          description: 'Of `cron`: a name such as `Europe/Berlin`. Default UTC.',
          expected: 'a time zone such as Europe/Berlin',
        }),
      ),
      catchup: Type.Optional(
        Type.Union([Type.Literal('none'), Type.Literal('last'), Type.Literal('all')], {
          description:
            'Which of the times that were missed while no server ran start a run: `none`, the `last` one (default), or `all`, at most 100.',
        }),
      ),
      catchupWindow: Type.Optional(described(Duration, 'Times that were missed longer ago are left out. Default 1d.')),
      jitter: Type.Optional(
        described(
          Duration,
          'Each run starts up to this much later; at most the shortest time between two ticks. Default 0s.',
        ),
      ),
    },
    'Starts a run at times.',
  ),

  read(value, pointer, problems) {
    const { cron, every, timezone = 'UTC' } = value as { cron?: string; every?: string; timezone?: string };
    let isWrong = false;
    const bad = (key: string, detail: string, isKey = false): void => {
      isWrong = true;
      problems.add(key === '' ? pointer : `${pointer}/${key}`, 'workflow.bad_value', detail, isKey);
    };
    const everyMs = durationOf(every);
    if ((cron === undefined) === (every === undefined)) bad('', 'A schedule must have either "cron" or "every".');
    else if (cron !== undefined) {
      const problem = problemOfCron(cron);
      if (problem !== undefined) bad('cron', problem);
      if (!isTimezone(timezone))
        bad('timezone', `There is no time zone "${timezone}". Use a name such as Europe/Berlin or UTC.`);
    } else if (value['timezone'] !== undefined) bad('timezone', '"timezone" goes with "cron" only.', true);
    else if (everyMs! < MIN_EVERY_MS) bad('every', '"every" must be at least 1s.');
    const times: Times = cron === undefined ? { everyMs: everyMs ?? DAY_MS } : { cron: fieldsOf(cron), timezone };
    const jitterMs = durationOf(value['jitter']) ?? 0;
    if (jitterMs > MIN_GAP_MS && !isWrong && !problems.isSaved) {
      const gap = shortestGap(times);
      if (jitterMs > gap)
        bad('jitter', `"jitter" must be at most ${formatDuration(gap)}, the shortest time between two ticks.`);
    }
    return {
      type: 'schedule',
      types: ['schedule.fired'],
      key: namedTimes(times, formatDuration(everyMs ?? DAY_MS)),
      schedule: {
        times,
        catchup: (value['catchup'] as Catchup | undefined) ?? 'last',
        catchupWindowMs: durationOf(value['catchupWindow']) ?? DAY_MS,
        jitterMs,
      },
    };
  },

  listensTo: (_, type) => type === 'schedule.fired',

  judge({ key }, { type, data }, { workflowId }) {
    const tick = data as Partial<DataOf<'schedule.fired'>>;
    const isOwn = type === 'schedule.fired' && tick.workflowId === workflowId && tick.trigger === key;
    return { kind: isOwn ? 'fits' : 'ignored' };
  },
};

const fieldsOf = (cron: string): string => cron.trim().split(/\s+/).join(' ');

export const isSchedule = (trigger: Trigger): trigger is ScheduleTrigger => trigger.type === scheduleTrigger.name;
