import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { EXIT } from '../failures.js';
import type { Verb } from '../nouns/verb-table.js';
import { nextLook } from '../run/next-look.js';
import type { Shell } from '../shell.js';

interface Delivery {
  readonly id: string;
  readonly eventType: string;
  readonly status: 'pending' | 'success' | 'failed';
  readonly attempts: number;
  readonly responseCode: number | null;
  readonly failureClass: string | null;
  readonly nextAttemptAt: string | null;
  readonly waitsFor: string | null;
}

/** A delivery with its attempts, as one is viewed. */
type Detail = Omit<Delivery, 'attempts'> & { readonly attemptCount: number };

/** What `millrace delivery` does beside the rows of its resource. */
export const deliveryVerbs: readonly Verb[] = [
  {
    usage: 'watch <delivery>',
    does: 'follow a delivery to its end; the exit code is 1 if it fails',
    run: (shell, [id]) => watchOne(shell, id!),
  },
];

/** What `millrace outbound-webhook` does beside the rows of its resource. */
export const webhookVerbs: readonly Verb[] = [
  {
    usage: 'watch <outbound-webhook>',
    does: 'show its deliveries as they are made, until Ctrl-C; with --json one a line',
    run: (shell, [id]) => watchAll(shell, id!),
  },
];

async function watchOne(shell: Shell, id: string): Promise<number> {
  const path = `/api/v1/deliveries/${encodeURIComponent(id)}`;
  const look = () => shell.call<Detail>('GET', path);
  let seen = await look();
  while (seen.status === 'pending' && !shell.signal.aborted) {
    shell.bar(textOf({ ...seen, attempts: seen.attemptCount }));
    await nextLook(shell.signal);
    if (!shell.signal.aborted) seen = await look();
  }
  shell.bar(undefined);
  if (shell.json) shell.print(stringifyJson(seen, 2));
  else shell.print(shell.quiet ? seen.status : textOf({ ...seen, attempts: seen.attemptCount }));
  if (seen.status === 'pending') return EXIT.interrupted;
  return seen.status === 'success' ? 0 : 1;
}

/** Deliveries whose state is remembered, so that it is shown once. */
const MOST = 10_000;

async function watchAll(shell: Shell, id: string): Promise<number> {
  const path = `/api/v1/outbound-webhooks/${encodeURIComponent(id)}/deliveries?limit=50`;
  const shown = new BoundedMap<string, string>(MOST);
  while (!shell.signal.aborted) {
    const { data } = await shell.call<{ readonly data: readonly Delivery[] }>('GET', path);
    for (const delivery of data.toReversed()) {
      const state = `${delivery.status} ${delivery.attempts}`;
      if (shown.get(delivery.id) === state) continue;
      shown.set(delivery.id, state);
      if (shell.json) shell.print(stringifyJson(delivery));
      else shell.print(shell.quiet ? `${delivery.id} ${delivery.status}` : textOf(delivery));
    }
    await nextLook(shell.signal);
  }
  return EXIT.interrupted;
}

function textOf(delivery: Delivery): string {
  const { id, eventType, status, attempts, responseCode, failureClass, nextAttemptAt, waitsFor } = delivery;
  const result = failureClass === null || failureClass === 'status' ? responseCode : failureClass;
  const parts = [
    id,
    eventType,
    status,
    `${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`,
    ...(result === null ? [] : [String(result)]),
    ...(nextAttemptAt === null ? [] : [`next at ${nextAttemptAt}`]),
    ...(waitsFor === null ? [] : ['waits for the rate limit']),
  ];
  return parts.join('  ');
}
