import type { PlatformEvent } from '#libs/events/src/envelope.js';
import { derivedId } from '#libs/kernel/src/ids.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import type { RunStart } from '../engine/run-state.js';
import type { Definition, Trigger } from '../language/definition.js';
import { declaredInputs, defaultInputs, inputsOf } from '../language/inputs.js';
import { flowOf } from '../triggers/event.trigger.js';
import { judge, listensTo } from '../triggers/registry.js';
import { isSchedule, type ScheduleTrigger } from '../triggers/schedule.trigger.js';
import { ticksAfter } from '../triggers/ticks.js';
import type { TestCase } from './test-shape.js';

/** What a run begins with. */
export interface Beginning {
  readonly trigger: RunStart['trigger'];
  readonly inputs: Record<string, unknown>;
  readonly event: PlatformEvent | undefined;
  /** Of a trigger with `batch`; `event` is the last one. */
  readonly events?: readonly PlatformEvent[];
  readonly now: Date;
}

type GivenEvent = Exclude<NonNullable<TestCase['event']>, readonly unknown[]>;

export const WORKFLOW_ID = derivedId('wf', 'test');
const START = new Date('2026-01-01T00:00:00.000Z');

/**
 * How the run of a test begins; `undefined` where no trigger fits the event.
 * @throws Rejected if the inputs are wrong, if no schedule has such a tick, or if events make no batch.
 */
export function beginningOf(definition: Definition, test: TestCase): Beginning | undefined {
  const { inputs } = test;
  const declared = declaredInputs(definition);
  const schedules = definition.triggers.filter(isSchedule);
  const isTick = test.event === undefined && !inputs && !declared && schedules.length > 0;
  const given: readonly GivenEvent[] = isTick ? [{ type: 'schedule.fired' }] : [test.event ?? []].flat();
  const isTicking = given.some(({ type }) => type === 'schedule.fired') && schedules.length > 0;
  const now = test.now === undefined ? startOf(isTicking ? schedules : []) : new Date(test.now);
  const events = given.map((one, index) => eventOf(one, index, now, definition));
  const event = events.at(-1);
  if (event && !inputs) {
    const index = definition.triggers.findIndex((trigger) => events.every((one) => fits(trigger, one)));
    if (index < 0) return undefined;
    const trigger = definition.triggers[index]!;
    if (isSchedule(trigger)) checkTick(trigger, event, test);
    checkBatch(trigger, events);
    const begun = { trigger: { kind: 'event' as const, index }, inputs: defaultInputs(definition), event, now };
    return trigger.isBatch ? { ...begun, events } : begun;
  }
  const index = definition.triggers.findIndex((trigger) => trigger.inputs !== undefined);
  const checked = inputsOf(declared, inputs ?? {});
  return { trigger: { kind: event ? 'request' : 'manual', ...(index >= 0 && { index }) }, inputs: checked, event, now };
}

const fits = (trigger: Trigger, event: PlatformEvent): boolean =>
  listensTo(trigger, event.type) && judge(trigger, event, { workflowId: WORKFLOW_ID, receiver: 'any' }).kind === 'fits';

/** The first tick of the schedules, where a tick starts the run and the test does not say when. */
function startOf(schedules: readonly ScheduleTrigger[]): Date {
  const before = new Date(START.getTime() - 1);
  const ticks = schedules.flatMap(({ schedule }) => ticksAfter(schedule.times, before, 1));
  return ticks.length === 0 ? START : new Date(Math.min(...ticks.map((tick) => tick.getTime())));
}

function eventOf(given: GivenEvent, index: number, now: Date, { name, triggers }: Definition): PlatformEvent {
  const { type, source = sourceIn(triggers, type) ?? 'api', subject = 'test/event' } = given;
  const { id = derivedId('evt', 'test', ...(index === 0 ? [] : [String(index)])) } = given;
  const timestamp = now.toISOString();
  // A tick names its workflow and its schedule, which a test need not know.
  const schedules = type === 'schedule.fired' ? triggers.filter(isSchedule) : [];
  const trigger = (schedules.find((one) => hasTick(one, timestamp)) ?? schedules[0])?.key;
  const tick = trigger === undefined ? {} : { workflowId: WORKFLOW_ID, workflow: name, trigger, at: timestamp };
  const data = { ...tick, ...given.data } as PlatformEvent['data'];
  return { id, type, source, subject, orgId: 'org_test', timestamp, data };
}

/** The first source that a trigger of the type names without a glob. */
const sourceIn = (triggers: readonly Trigger[], type: string): string | undefined =>
  triggers
    .filter((trigger) => listensTo(trigger, type))
    .flatMap((trigger) => (trigger as { source?: readonly string[] }).source ?? [])
    .find((source) => !source.includes('*'));

function hasTick({ schedule }: ScheduleTrigger, at: string): boolean {
  const time = Date.parse(at);
  return ticksAfter(schedule.times, new Date(time - 1), 1)[0]?.getTime() === time;
}

function checkTick(trigger: ScheduleTrigger, { data }: PlatformEvent, { event }: TestCase): void {
  const { at } = data as { readonly at: string };
  if (hasTick(trigger, at)) return;
  const [next] = Number.isNaN(Date.parse(at)) ? [] : ticksAfter(trigger.schedule.times, new Date(at), 1);
  const [first] = [event ?? []].flat();
  const pointer = first?.data?.['at'] === undefined ? '/now' : '/event/data/at';
  const remedy = next ? ` The next one is at ${next.toISOString()}.` : '';
  const detail = `The schedule "${trigger.key}" has no tick at ${at}.${remedy}`;
  throw new Rejected('invalid', 'test.no_tick', detail, { problems: [{ pointer, detail }] });
}

function checkBatch(trigger: Trigger, events: readonly PlatformEvent[]): void {
  const most = trigger.isBatch ? flowOf(trigger)!.batch!.size : 1;
  if (events.length <= most) return;
  const detail = trigger.isBatch
    ? `The batch of the trigger has at most ${most} events, not ${events.length}.`
    : 'Only a trigger with "batch" starts one run for several events. Give one event.';
  throw new Rejected('invalid', 'test.no_batch', detail, { problems: [{ pointer: '/event', detail }] });
}
