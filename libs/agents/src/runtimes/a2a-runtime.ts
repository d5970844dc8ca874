import type { EgressOutcome } from '#libs/egress/src/egress.js';
import type { ConfigOf } from '#libs/events/src/shapes/agents/agent-config-shape.js';
import type { ExecutionError } from '#libs/events/src/shapes/agents/execution-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { isObject } from '#libs/kernel/src/json.js';
import { parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { backoff } from '#libs/kernel/src/time/backoff.js';
import { parseDuration } from '#libs/kernel/src/time/durations.js';
import { startTimer } from '#libs/kernel/src/time/timer.js';
import { timeAfter } from '#libs/kernel/src/time/times.js';

import { failed, finished, timedOut } from '../engine/end-drafts.js';
import type { ExecutionDraft } from '../engine/execution-state.js';
import { errorOf, isPassing } from './http-runtime.js';
import { MAX_OUTPUT_BYTES, type Runtime, type Turn, WAIT } from './runtime.js';
import { withSecrets } from './secret-references.js';

const DEFAULT_TIMEOUT = '10m';
const CARD = '/.well-known/agent-card.json';
const CALL_MS = 30_000;
const MAX_ATTEMPTS = 3;
const RETRY = { first: 1_000, max: 30_000 };

type Config = ConfigOf<'a2a'>;
type Fields = Readonly<Record<string, unknown>>;

/**
 * An agent that speaks A2A 1.0 (HTTP+JSON): its card says where, `message:send` gives it the task, and its state is polled
 * until it ends. A message whose answer is lost is sent again with the same id.
 */
export const a2aRuntime: Runtime = {
  timeLimit: (config) => parseDuration((config as Config).timeout ?? DEFAULT_TIMEOUT),

  decide(turn) {
    const { accepted, isCalling, attempts, retryAt, start } = turn.execution;
    const { executionId } = start;
    if (retryAt && retryAt > turn.now) return WAIT;
    const attempt = isCalling ? attempts : attempts + 1;
    if (accepted?.taskId !== undefined)
      return { drafts: [], call: (signal) => inWords(turn, () => untilEnded(turn, accepted.taskId!, signal)) };
    return {
      drafts: isCalling ? [] : [{ type: 'agent.attempt_started', data: { executionId, attempt } }],
      call: (signal) => inWords(turn, () => send(turn, signal), attempt),
    };
  },
};

/** Why an agent gave no result. */
class A2aError extends Error {
  constructor(
    readonly error: ExecutionError,
    readonly mayPass = false,
  ) {
    super(error.message);
  }
}
const refuse = (code: string, message: string): A2aError => new A2aError({ code: `agent.${code}`, message });

async function inWords(
  { execution, world }: Turn,
  work: () => Promise<readonly ExecutionDraft[]>,
  attempt = MAX_ATTEMPTS,
): Promise<readonly ExecutionDraft[]> {
  try {
    return await work();
  } catch (error) {
    const now = world.clock.now();
    if (error instanceof A2aError) {
      const retryAt = timeAfter(now, backoff(attempt, RETRY));
      if (!error.mayPass || attempt >= MAX_ATTEMPTS || retryAt >= execution.deadline!)
        return [failed(execution, error.error, now)];
      const { executionId } = execution.start;
      const data = { executionId, attempt, error: error.error, retryAt: retryAt.toISOString(), latencyMs: 0 };
      return [{ type: 'agent.attempt_failed', data }];
    }
    if (error instanceof Rejected) return [failed(execution, { code: error.code, message: error.message }, now)];
    throw error;
  }
}

async function send(turn: Turn, signal: AbortSignal): Promise<readonly ExecutionDraft[]> {
  const { executionId } = turn.execution.start;
  const input = turn.input ?? {};
  const message = {
    messageId: uuid5('agent-a2a', executionId),
    role: 'ROLE_USER',
    parts: [typeof input === 'string' ? { text: input } : { data: input }],
  };
  const answer = await exchange(turn, 'POST', `${await endpoint(turn, signal)}/message:send`, signal, {
    message,
    configuration: { acceptedOutputModes: ['application/json', 'text/plain'], returnImmediately: true },
  });
  if (isObject(answer['message']))
    return [finished(turn.execution, outputIn([answer['message']]), turn.world.clock.now())];
  const task = fields(answer['task']);
  if (typeof task['id'] !== 'string')
    throw refuse('invalid_answer', 'The agent answered with neither a message nor a task.');
  return ended(turn, task) ?? [{ type: 'agent.accepted', data: { executionId, taskId: task['id'] } }];
}

async function untilEnded(turn: Turn, taskId: string, signal: AbortSignal): Promise<readonly ExecutionDraft[]> {
  const { execution, world } = turn;
  const base = await endpoint(turn, signal);
  const path = `${base}/tasks/${encodeURIComponent(taskId)}`;
  try {
    for (;;) {
      const task = await exchange(turn, 'GET', path, signal).catch(unlessPassing);
      const end = task && ended(turn, task);
      if (end) return end;
      await pause(world.pollMs, signal);
      if (world.clock.now() >= execution.deadline!) {
        await cancelTask(turn, path);
        return [timedOut(execution, world.clock.now())];
      }
    }
  } catch (error) {
    // Not where the process stops: another one goes on polling.
    if (signal.aborted && turn.hasEnded()) await cancelTask(turn, path);
    throw error;
  }
}

/** The agent may work on although it cannot be asked now. */
function unlessPassing(error: unknown): undefined {
  if (!(error instanceof A2aError) || !error.mayPass) throw error;
}

/** Best effort: an agent that misses it works on, and its result is not used. */
const cancelTask = (turn: Turn, path: string): Promise<unknown> =>
  exchange(turn, 'POST', `${path}:cancel`, AbortSignal.timeout(CALL_MS), {}).catch(() => undefined);

/** What became of a task; `undefined` while it is worked on. */
function ended({ execution, world }: Turn, task: Fields): readonly ExecutionDraft[] | undefined {
  const { state, message } = fields(task['status']);
  const now = world.clock.now();
  const said = isObject(message) ? outputIn([message]) : undefined;
  const why = typeof said === 'string' ? `: ${said}` : '.';
  switch (state) {
    case 'TASK_STATE_COMPLETED':
      return [finished(execution, outputIn(list(task['artifacts'])) ?? said, now)];
    case 'TASK_STATE_FAILED':
      return [failed(execution, { code: 'agent.task_failed', message: `The agent failed${why}` }, now)];
    case 'TASK_STATE_CANCELED':
      return [failed(execution, { code: 'agent.task_cancelled', message: 'The agent cancelled the task.' }, now)];
    case 'TASK_STATE_REJECTED':
      return [failed(execution, { code: 'agent.task_rejected', message: `The agent rejected the task${why}` }, now)];
    case 'TASK_STATE_INPUT_REQUIRED':
    case 'TASK_STATE_AUTH_REQUIRED':
      return [failed(execution, { code: 'agent.input_required', message: `The agent asks for more${why}` }, now)];
    default:
      return undefined;
  }
}

/** One part as it is, several as a list. */
function outputIn(holders: readonly unknown[]): unknown {
  const parts = holders.flatMap((holder) => list(fields(holder)['parts'])).map(fields);
  const values = parts.map(({ text, data, url, raw }) => text ?? data ?? url ?? raw ?? null);
  return values.length <= 1 ? values[0] : values;
}

/** Where the agent takes messages, as its card says. */
async function endpoint(turn: Turn, signal: AbortSignal): Promise<string> {
  const { url } = turn.settings.config as Config;
  const card = new URL(url).pathname.endsWith('.json') ? url : new URL(CARD, url).href;
  const { supportedInterfaces } = await exchange(turn, 'GET', card, signal);
  const spoken = list(supportedInterfaces)
    .map(fields)
    .find(
      ({ protocolBinding, protocolVersion }) => protocolBinding === 'HTTP+JSON' && /^1\./.test(String(protocolVersion)),
    );
  if (typeof spoken?.['url'] !== 'string')
    throw refuse('a2a_unsupported', 'The agent card names no interface for A2A 1.x over HTTP+JSON.');
  // Credentials go to the host that they were given for.
  if (new URL(spoken['url']).host !== new URL(url).host)
    throw refuse('a2a_other_host', `The agent card names another host, ${new URL(spoken['url']).host}. Use its URL.`);
  return spoken['url'].replace(/\/+$/, '');
}

async function exchange(
  { execution, settings, orgId, world }: Turn,
  method: string,
  url: string,
  signal: AbortSignal,
  body?: object,
): Promise<Fields> {
  const { texts, mask } = await withSecrets((settings.config as Config).headers ?? {}, orgId, world.secretValues);
  const left = execution.deadline!.getTime() - world.clock.now().getTime();
  const outcome: EgressOutcome = await world.egress.request({
    method,
    url,
    headers: { ...texts, 'Content-Type': 'application/json', Accept: 'application/json', 'A2A-Version': '1.0' },
    ...(body && { body: stringifyJson(body) }),
    timeoutMs: Math.max(1, Math.min(left, CALL_MS)),
    keepBytes: MAX_OUTPUT_BYTES,
    maxBytes: MAX_OUTPUT_BYTES,
    signal,
  });
  if (outcome.kind === 'failed' || outcome.status < 200 || outcome.status >= 300)
    throw new A2aError(errorOf(outcome), isPassing(outcome));
  try {
    return mask.value(fields(parseJson(outcome.body.toString('utf8'))));
  } catch {
    throw refuse('invalid_answer', 'The agent answered with something that is not JSON.');
  }
}

const fields = (value: unknown): Fields => (isObject(value) ? value : {});
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as readonly unknown[]) : []);

const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const stop = startTimer(milliseconds, () => {
      signal.removeEventListener('abort', abort);
      resolve();
    });
    function abort(): void {
      stop();
      reject(signal.reason as Error);
    }
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
