import type { PlatformEvent } from '#libs/events/src/envelope.js';

import type { Trigger } from '../language/definition.js';
import { eventTrigger } from './event.trigger.js';
import { manualTrigger } from './manual.trigger.js';
import { scheduleTrigger } from './schedule.trigger.js';
import type { JudgedFor, TriggerKind, TriggerVerdict } from './trigger-kind.js';
import { webhookTrigger } from './webhook.trigger.js';

/** Every kind of trigger, one line each. */
export const triggerKinds: readonly TriggerKind[] = [eventTrigger, scheduleTrigger, webhookTrigger, manualTrigger];

const byName = new Map(triggerKinds.map((kind) => [kind.name, kind]));

/** Whether events of a type may start a run through this trigger. */
export const listensTo = (trigger: Trigger, type: string): boolean =>
  byName.get(trigger.type)?.listensTo?.(trigger, type) ?? false;

/** Whether an event of a type that the trigger listens to starts a run. @throws Rejected `expression.too_costly` */
export const judge = (trigger: Trigger, event: PlatformEvent, about: JudgedFor): TriggerVerdict =>
  byName.get(trigger.type)?.judge?.(trigger, event, about) ?? { kind: 'ignored' };
