import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { StepContext, StepHttpOutcome } from '#libs/plugin-sdk/src/define-step.js';
import { builtInSteps } from '#libs/steps/src/built-in.js';
import { timelineOf } from '#libs/workflows/src/run/shown/timeline.js';
import { StepLibrary } from '#libs/workflows/src/steps/step-library.js';

import { crashingStore, type Fault, Killed } from '../../libs/workflows/testing/crashing-store.js';
import { VirtualWorld, type WorldOptions } from '../../libs/workflows/testing/virtual-world.js';

export type Sent = Parameters<StepContext['http']['request']>[0];
/** What a service answers to a request: a body, or a status that is not 200, with a body. */
export type Service = (
  request: Sent,
  nth: number,
) => object | number | { readonly status: number; readonly body: object };

export interface History extends Omit<WorldOptions, 'makeAttempt' | 'library' | 'store'> {
  /** Stands for every service that the workflow calls. Default: all answer `{}`. */
  readonly service?: Service;
  /** Something that happens to the run from outside whenever it rests. @returns whether the run goes on at once. */
  readonly meanwhile?: (world: VirtualWorld) => Promise<boolean>;
}

/** What is left of a run. */
export interface Told {
  readonly world: VirtualWorld;
  readonly events: readonly RecordedEvent[];
  readonly status: string;
  readonly outputs: unknown;
  readonly error:
    { readonly code: string; readonly type?: string; readonly message: string; readonly path?: string } | undefined;
  /** Requests to services, such as `POST https://a.example.com/x`. */
  readonly calls: readonly string[];
  readonly requests: readonly Sent[];
  /** Path and status of each step that began, in the order of their beginnings. */
  readonly steps: readonly string[];
  /** Virtual milliseconds. */
  readonly elapsed: number;
}

const library = new StepLibrary(builtInSteps);
const START = Date.parse('2026-01-01T00:00:00.000Z');
const MAX_TURNS = 2_000;

/** Plays a run in virtual time with the engine and the steps of a server; only the services are doubles. */
export const told = (history: History): Promise<Told> => lived(history, () => 'none');

/**
 * The same run again for each append, where the process dies right before or after that append: nothing but the call that
 * was under way is made again.
 * @returns what differs from the undisturbed run.
 */
export async function differencesWhenKilled(history: () => History): Promise<readonly string[]> {
  let appends = 0;
  const calm = await lived(history(), () => (appends++, 'none'));
  const found: string[] = [];
  for (const fault of ['before', 'after'] as const)
    for (let at = 0; at < appends; at++) {
      let nth = 0;
      const rough = await lived(history(), () => (nth++ === at ? fault : 'none'));
      const surplus = rough.calls.length - calm.calls.length;
      const same = ({ status, outputs, error, steps }: Told) =>
        JSON.stringify({ status, outputs, error, steps: steps.toSorted() });
      if (same(rough) !== same(calm)) found.push(`${fault} append ${at}: ${same(rough)}`);
      if (surplus < 0 || surplus > concurrentCalls(calm))
        found.push(`${fault} append ${at}: ${rough.calls.join(', ')}`);
    }
  return found;
}

/** Most calls that were under way at the same time. */
function concurrentCalls({ events }: Told): number {
  let open = 0;
  let most = 1;
  for (const event of events) {
    if (event.is('run.step_started')) most = Math.max(most, ++open);
    else if (event.is('run.attempt_failed') || (event.is('workflow.step_completed', 'workflow.error') && open > 0))
      open--;
  }
  return most;
}

async function lived({ service = () => ({}), meanwhile, ...options }: History, fault: () => Fault): Promise<Told> {
  const requests: Sent[] = [];
  const world = new VirtualWorld({
    ...options,
    library,
    store: (memory) => crashingStore(memory, fault),
    makeAttempt: ({ uses, input, attempt, path }, _run, timeoutMs, signal) =>
      uses.run(input, {
        idempotencyKey: path,
        attempt,
        timeoutMs,
        signal,
        log: () => undefined,
        http: {
          request: (request) => {
            requests.push(request);
            return Promise.resolve(answerOf(service(request, requests.length)));
          },
        },
      }),
  });
  await world.begin();
  for (let turns = 0; turns < MAX_TURNS; turns++) {
    try {
      await world.goOn();
      if (await meanwhile?.(world)) continue;
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      continue;
    }
    const run = await world.run();
    if (run.status === 'unknown' || run.ended || !(await world.untilNext())) break;
  }
  const events = await world.events();
  const completed = events.find((event) => event.is('workflow.completed'));
  const failed = events.find((event) => event.is('workflow.failed'));
  return {
    world,
    events,
    status: (await world.run()).status,
    outputs: completed?.is('workflow.completed') ? completed.data.outputs : undefined,
    error: failed?.is('workflow.failed') ? failed.data.error : undefined,
    calls: requests.map(({ method, url }) => `${method} ${url}`),
    requests,
    steps: timelineOf(events, world.definition).map(({ path, status }) => `${path} ${status}`),
    elapsed: world.clock.now().getTime() - START,
  };
}

function answerOf(answer: ReturnType<Service>): StepHttpOutcome {
  const { status, body } =
    typeof answer === 'number'
      ? { status: answer, body: {} }
      : 'status' in answer && 'body' in answer
        ? answer
        : { status: 200, body: answer };
  return {
    kind: 'response',
    status,
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify(body)),
    truncated: false,
    latencyMs: 1,
  };
}
