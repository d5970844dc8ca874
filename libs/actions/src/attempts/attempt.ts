import type { DataOf } from '#libs/events/src/catalogue.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { parseAsWritten, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { beginning } from '#libs/kernel/src/text/text.js';
import { startTimer } from '#libs/kernel/src/time/timer.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

/** Most bytes of what an action gives back, as JSON. */
export const MAX_OUTPUT_BYTES = 256 * 1024;
const MAX_MESSAGE = 2_000;

/** How an attempt ended. */
export type Ending =
  | ({ readonly kind: 'done' } & Pick<DataOf<'action.completed'>, 'output' | 'omitted'>)
  | {
      readonly kind: 'failed';
      readonly error: DataOf<'action.failed'>['error'];
      readonly retryable: boolean;
      /** Seconds that the other side asked to wait. */
      readonly retryAfter?: number;
      /** What a mistake in the plug-in's code said: for the log of the server alone, since it may say anything. */
      readonly bug?: string;
    };

/**
 * One attempt with a limit of time. An action that goes on after that is not listened to.
 * @param run is given the signal that tells it to stop.
 * @throws what `signal` aborts with, if it does so before the end.
 */
export async function attempted(
  run: (signal: AbortSignal) => Promise<unknown>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Ending> {
  signal.throwIfAborted();
  const limit = new AbortController();
  const either = AbortSignal.any([signal, limit.signal]);
  const stopTimer = startTimer(timeoutMs, () => limit.abort());
  const stopped = new Promise<never>((_, reject) => {
    // Its reason is looked up below: what the action itself makes of the signal may come first.
    either.addEventListener('abort', () => reject(new Error('stopped')), { once: true });
  });
  try {
    // An action that throws before its first await is a failed attempt like any other.
    const action = Promise.resolve().then(() => run(either));
    return done(await Promise.race([action, stopped]));
  } catch (error) {
    signal.throwIfAborted();
    // It is no failure: the attempt is made later.
    if (error instanceof Transient) throw error;
    return failed(limit.signal.aborted ? timedOut(timeoutMs) : error);
  } finally {
    stopTimer();
  }
}

/** What cannot be kept is left out, and the action has been carried out all the same. */
function done(output: unknown): Ending {
  let text: string | undefined;
  try {
    text = stringifyJson(output ?? null);
  } catch {
    text = undefined;
  }
  if (text === undefined) return { kind: 'done', output: null, omitted: 'not_json' };
  if (Buffer.byteLength(text) > MAX_OUTPUT_BYTES) return { kind: 'done', output: null, omitted: 'too_large' };
  return { kind: 'done', output: parseAsWritten(text) };
}

function failed(error: unknown): Ending {
  if (!saysWhy(error)) {
    const name = error instanceof Error && /^\w{1,60}$/.test(error.name) ? error.name : typeof error;
    const message = `The action failed with an unexpected error (${name}). See the log of the server.`;
    const bug = error instanceof Error ? error.message : String(error);
    return { kind: 'failed', error: { code: 'action.bug', message }, retryable: false, bug };
  }
  const { code, message, retryable, retryAfter } = error;
  return {
    kind: 'failed',
    error: {
      code: typeof code === 'string' && code !== '' ? code.slice(0, 200) : 'action.failed',
      message: beginning(message, MAX_MESSAGE),
    },
    retryable,
    ...(typeof retryAfter === 'number' && retryAfter > 0 && { retryAfter }),
  };
}

/** A plug-in may have made its own error of the same form, or carry a copy of the SDK. */
const saysWhy = (
  error: unknown,
): error is Pick<StepError, 'message' | 'retryable'> & { code?: unknown; retryAfter?: unknown } =>
  error instanceof Error && typeof (error as Partial<StepError>).retryable === 'boolean';

const timedOut = (timeoutMs: number): StepError =>
  new StepError({
    code: 'action.timeout',
    message: `The action took longer than its limit of ${timeoutMs} ms.`,
    retryable: true,
  });
