import { setTimeout } from 'node:timers/promises';

import type { ReplayAnswer } from '#libs/events/src/shapes/audit/replay-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { hasEnded } from '../replay-list.adapter.js';

/** Between two looks at a replay. */
const LOOK_MS = 250;
/** Proxies close a connection on which nothing is sent. */
const QUIET_MS = 15_000;

/** A replay each time it has changed, the last time when it has ended. `undefined` where nothing has changed for long. */
export async function* followReplay(
  look: () => Promise<ReplayAnswer>,
  signal: AbortSignal,
): AsyncGenerator<ReplayAnswer | undefined> {
  let [told, toldAt] = ['', performance.now()];
  while (!signal.aborted) {
    const replay = await look();
    const text = stringifyJson(replay);
    if (text !== told || performance.now() - toldAt > QUIET_MS) {
      yield text === told ? undefined : replay;
      [told, toldAt] = [text, performance.now()];
    }
    if (hasEnded(replay)) return;
    await setTimeout(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** As lines: `{ "progress": … }`, at last `{ "result": … }`. */
export async function* progressLines(replays: ReturnType<typeof followReplay>): AsyncGenerator<string> {
  for await (const replay of replays)
    yield replay ? `${stringifyJson({ [hasEnded(replay) ? 'result' : 'progress']: replay })}\n` : '\n';
}

/** As server-sent events: `progress`, at last `end`. */
export async function* progressEvents(replays: ReturnType<typeof followReplay>): AsyncGenerator<string> {
  for await (const replay of replays)
    yield replay
      ? `event: ${hasEnded(replay) ? 'end' : 'progress'}\ndata: ${stringifyJson(replay)}\n\n`
      : ': keep-alive\n\n';
}
