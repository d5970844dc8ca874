import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { SubscriberContext } from '#libs/event-store/src/subscriber.js';
import type { PlatformEvent } from '#libs/events/src/envelope.js';
import { uuid5 } from '#libs/kernel/src/ids.js';

import type { Verdict } from './judge.js';
import type { KnownRule } from './known-rule.js';
import { take, type ThrottleWindow, windowId } from './throttle.js';
import { type KeptWindow, loadWindows, saveWindows } from './throttle-windows.adapter.js';

const MAX_THROTTLE_KEY = 200;

/** A rule that matched an event, before it is known whether it may act. */
export interface Match {
  readonly event: RecordedEvent;
  readonly scope: PlatformEvent;
  readonly rule: KnownRule;
  readonly verdict: Extract<Verdict, { outcome: 'matched' }>;
}

/**
 * Which of a batch's matches are one too many. `matches` come in the order of the log; state is kept in the transaction
 * of the checkpoint, so that an event that is looked at again meets it as it was. Without a rule whose matches are
 * counted nothing is read.
 */
export async function heldBack(matches: readonly Match[], context: SubscriberContext): Promise<ReadonlySet<Verdict>> {
  const asking = matches.flatMap(({ event, rule, verdict }) =>
    verdict.throttleKey === undefined
      ? []
      : [{ rule, verdict, ruleId: rule.id, key: shortened(verdict.throttleKey), time: event.created.getTime() }],
  );
  const throttled = new Set<Verdict>();
  if (asking.length === 0) return throttled;
  const tx = await context.transaction();
  const windows: Map<string, ThrottleWindow> = await loadWindows(tx, asking);
  const changed = new Map<string, KeptWindow>();
  for (const { rule, verdict, key, time } of asking) {
    const id = windowId(rule.id, key);
    const { allowed, window } = take(windows.get(id), rule, key, time);
    windows.set(id, window);
    changed.set(id, { ...window, endsAt: window.startedAt + rule.compiled.throttle!.perMs });
    if (!allowed) throttled.add(verdict);
  }
  await saveWindows(tx, [...changed.values()], asking[0]!.time);
  return throttled;
}

/** PostgreSQL stores any text but NUL. */
const shortened = (key: string): string =>
  key.length <= MAX_THROTTLE_KEY && !key.includes('\0') ? key : uuid5('throttle', key);
