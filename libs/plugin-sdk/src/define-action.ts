import type { Static, TSchema } from '@sinclair/typebox';

import { ACTION_REQUESTS } from '#libs/events/src/types/actions/action.events.js';

import type { StepHttp } from './define-step.js';

/**
 * THE DOOR FOR ACTIONS: what a rule may name as the `type` of an action, beside the built-in ones.
 *
 * ```ts
 * export const pageOnCall = defineAction({
 *   name: 'page-on-call',
 *   description: 'Pages the person on call.',
 *   inputSchema: Type.Object({ team: Type.String(), text: Type.String() }),
 *   async run({ team, text }, { http, idempotencyKey, signal, timeoutMs }) {
 *     const answer = await http.request({
 *       method: 'POST',
 *       url: 'https://pager.example.com/pages',
 *       headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
 *       body: JSON.stringify({ team, text }),
 *       timeoutMs,
 *       signal,
 *     });
 *     if (answer.kind === 'failed') throw new StepError({ code: answer.failureClass, message: answer.detail, retryable: true });
 *     return { status: answer.status };
 *   },
 * });
 * ```
 */

/**
 * Something that a rule does in the world. It is done at least once: a process that dies in between leaves it to
 * another one, which begins again with the same `idempotencyKey`. What became of it is recorded once.
 */
export interface ActionDefinition<Schema extends TSchema = TSchema> {
  /** 2 to 40 lower-case letters, digits, `-` and `_`, beginning with a letter: `page-on-call`. */
  readonly name: string;
  /** One sentence, shown where rules are written. */
  readonly description: string;
  /**
   * JSON Schema of `with`, after its templates are filled in. Checked as far as it can be when a rule is saved, and
   * wholly before each attempt.
   */
  readonly inputSchema: Schema;
  /**
   * Does it. What it returns (anything that JSON can hold, up to 256 KiB) is recorded as the `output` of
   * `action.completed`, so it holds no secret.
   * @throws StepError for what went wrong in a way that the author of a rule understands. Anything else counts as a
   * failure that no second attempt would mend; what it says is in the server's log alone.
   */
  run(input: Static<Schema>, context: ActionContext): Promise<unknown>;
}

/** Types an action by its schema; returns it unchanged. */
export const defineAction = <Schema extends TSchema>(action: ActionDefinition<Schema>): ActionDefinition<Schema> =>
  action;

/** What an action is given beside its input. */
export interface ActionContext {
  /**
   * The same for every attempt of one request, also after a crash and in another process: a system that honours it does the
   * thing once. A UUID.
   */
  readonly idempotencyKey: string;
  /** 1 for the first. One that nobody lived to tell of counts again under the same number. */
  readonly attempt: number;
  /** How long the attempt may take: 30 s. */
  readonly timeoutMs: number;
  /** Aborts when the time is over or the process stops. */
  readonly signal: AbortSignal;
  /** The only way out: public addresses only, unless allowed; no redirects; bounded in time and size. */
  readonly http: StepHttp;
  /** A line in the server's log, with the action and the request named. Never give it a secret. */
  log(message: string, fields?: object): void;
}

/** What a name of an action looks like. */
export const ACTION_NAME = /^[a-z][a-z0-9_-]{1,39}$/;

export type BuiltInAction = keyof typeof ACTION_REQUESTS;

/** The actions that come with the platform. No plug-in may take one of these names. */
export const BUILT_IN_ACTIONS = Object.keys(ACTION_REQUESTS) as readonly BuiltInAction[];
