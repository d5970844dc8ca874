import { Random } from './random.js';
import { RawClient } from './raw-client.js';
import { type Place, routeInput } from './route-input.js';
import { type Failure, resultOf, type TargetOptions, type TargetResult } from './target-result.js';

export interface RouteOptions extends TargetOptions {
  readonly url: string;
  readonly places: readonly Place[];
  /** How many connections are busy at once. */
  readonly lanes: number;
  /** Looks at the ids of events that were acknowledged: all of them have to be there. */
  readonly isStored: (eventId: string) => Promise<boolean>;
}

const MOST_FAILURES = 20;
const LOOKED_UP = 100;

/** The whole inbound route over sockets: whatever is sent, the answer is quick, no 5xx, and the server lives on. */
export async function fuzzRoute(options: RouteOptions): Promise<TargetResult> {
  const { url, places, lanes, inputs, seed, patienceMs, isStored } = options;
  const { hostname, port } = new URL(url);
  const began = performance.now();
  const outcomes: Record<string, number> = {};
  const failures: Failure[] = [];
  const times = new Float64Array(inputs);
  const acknowledged: { readonly eventId: string; readonly seed: number }[] = [];
  let next = 0;

  const lane = async (): Promise<void> => {
    const client = new RawClient(hostname, Number(port), patienceMs);
    for (let input = next++; input < inputs && failures.length < MOST_FAILURES; input = next++) {
      const random = new Random(seed + input, 'route');
      const { bytes, breaks } = routeInput(places, random);
      const outcome = await client.send(bytes, breaks);
      times[input] = outcome.ms;
      const word = outcome.kind === 'answered' ? String(outcome.status) : outcome.kind;
      outcomes[word] = (outcomes[word] ?? 0) + 1;
      const fail = (what: string): void => void failures.push({ seed: seed + input, what });
      if (outcome.kind === 'silent') fail(`hang: no answer after ${patienceMs} ms`);
      if (outcome.kind === 'closed' && !breaks) fail('the connection was closed without an answer');
      if (outcome.kind !== 'answered') continue;
      // A key that is not known may be new: the sender is told to come again while the keys cannot be asked for once more.
      // A custom path says 500 in place of 503, and has no codes.
      const isDeferred = /"inbound.keys_unavailable"|The public keys of this sender cannot be fetched/.test(
        outcome.body,
      );
      if ((outcome.status >= 500 && !isDeferred) || Number.isNaN(outcome.status))
        fail(`answered ${outcome.status}: ${outcome.body.slice(0, 300)}`);
      for (const [, eventId] of outcome.body.matchAll(/"(evt_\w{26})"/g))
        if (outcome.status < 300 && acknowledged.length < 100_000)
          acknowledged.push({ eventId: eventId!, seed: seed + input });
    }
    client.close();
  };
  await Promise.all(Array.from({ length: lanes }, lane));

  const seconds = (performance.now() - began) / 1000;
  const sample = new Random(seed, 'sample');
  for (let nth = 0; nth < Math.min(LOOKED_UP, acknowledged.length); nth++) {
    const { eventId, seed: its } = sample.pick(acknowledged);
    if (!(await isStored(eventId))) failures.push({ seed: its, what: `${eventId} was acknowledged and is not there` });
  }
  const alive = await fetch(`${url}/healthz`).then(
    ({ status }) => status === 200,
    () => false,
  );
  if (!alive) failures.push({ seed, what: 'crash: the server does not answer any more' });
  return resultOf('route', options, seconds, outcomes, failures, times);
}
