import type { EventDraft } from '#libs/event-store/src/new-event.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { compileTemplate, type CompiledTemplate } from '#libs/expressions/src/template.js';
import type { Cost } from '#libs/expressions/src/values.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { isObject, type Json, type JsonObject } from '#libs/kernel/src/json.js';
import type { BuiltInAction } from '#libs/plugin-sdk/src/define-action.js';

import type { Problems } from './problems.js';

/** The events by which a rule asks another stage for something. */
export type Request = EventDraft<
  | 'webhook.requested'
  | 'issue.requested'
  | 'workflow.requested'
  | 'agent.requested'
  | 'message.requested'
  | 'action.requested'
>;

/** On whose behalf, and because of which event. */
export type Asking = Pick<DataOf<'webhook.requested'>, 'requestedBy' | 'eventId' | 'event'>;

/** One action of a rule, ready to be filled in. */
export interface CompiledAction {
  readonly type: string;
  readonly templates: CompiledTemplate['expressions'];
  /**
   * The request as it is to be recorded.
   * @param cost shared by all actions of the rule.
   * @throws Rejected `action.unfit` if a template gave something that the action cannot use, `expression.too_costly`.
   */
  request(event: unknown, asking: Asking, cost: Cost): Request;
  /** `with`, filled in: what a person wants to see of it. @throws Rejected `expression.too_costly` */
  render(event: unknown, cost: Cost): Json;
}

export const MAX_ACTIONS = 50;

interface ActionKind {
  /** Keys of `with`; those with `true` must be there. */
  readonly keys: Readonly<Record<string, boolean>>;
  readonly check?: (given: Record<string, unknown>, pointer: string, problems: Problems) => void;
  readonly request: (filled: JsonObject, asking: Asking, rule: string) => Request;
}

const KINDS: Readonly<Record<BuiltInAction, ActionKind>> = {
  send_webhook: {
    keys: { webhook: false, url: false, payload: false },
    check: (given, pointer, problems) => {
      if ((given['webhook'] === undefined) === (given['url'] === undefined))
        problems.add(pointer, 'must name either a webhook (its whk_ id) or a url.');
    },
    request: (filled, asking) => ({
      type: 'webhook.requested',
      data: {
        ...asking,
        ...(filled['webhook'] === undefined
          ? { url: needed(filled, 'url') }
          : { webhookId: needed(filled, 'webhook') }),
        ...(filled['payload'] !== undefined && { payload: filled['payload'] }),
      },
    }),
  },
  create_issue: {
    keys: {
      tracker: false,
      title: true,
      body: false,
      priority: false,
      labels: false,
      assignee: false,
      dedupeKey: false,
    },
    request: (filled, asking, rule) => ({
      type: 'issue.requested',
      data: {
        ...asking,
        // An alert without a text is still an alert.
        title: text(filled['title']) || rule,
        ...optional(filled, 'tracker', 'body', 'priority', 'assignee', 'dedupeKey'),
        ...(filled['labels'] !== undefined && filled['labels'] !== null && { labels: texts(filled['labels']) }),
      },
    }),
  },
  dispatch_workflow: {
    keys: { workflow: true, inputs: false },
    request: (filled, asking) => {
      const inputs = filled['inputs'] ?? {};
      if (!isObject(inputs)) throw unfit('inputs', 'an object', inputs);
      return { type: 'workflow.requested', data: { ...asking, workflow: needed(filled, 'workflow'), inputs } };
    },
  },
  dispatch_agent: {
    keys: { agent: true, input: false },
    request: (filled, asking) => ({
      type: 'agent.requested',
      data: { ...asking, agent: needed(filled, 'agent'), input: filled['input'] ?? null },
    }),
  },
  send_message: {
    keys: { integration: true, channel: true, text: true },
    request: (filled, asking) => ({
      type: 'message.requested',
      data: {
        ...asking,
        integration: needed(filled, 'integration'),
        channel: needed(filled, 'channel'),
        text: text(filled['text']),
      },
    }),
  },
};

export const actionTypes: readonly string[] = Object.keys(KINDS);
export const isBuiltIn = (type: string): type is BuiltInAction => Object.hasOwn(KINDS, type);

/** Keys of `with` by action type; those with `true` must be there. */
export const actionKeys: Readonly<Record<string, ActionKind['keys']>> = Object.fromEntries(
  Object.entries(KINDS).map(([type, { keys }]) => [type, keys]),
);

/**
 * An action of a plug-in. Which there are is checked where a rule comes from outside: one that was saved is asked for
 * whatever becomes of its plug-in, and waits.
 */
const pluginKind = (action: string): Omit<ActionKind, 'keys'> => ({
  request: (input, asking) => ({ type: 'action.requested', data: { ...asking, action, input } }),
});

/** Compiles one action; `undefined`, with problems noted, if it is wrong. */
export function compileAction(
  json: unknown,
  pointer: string,
  rule: string,
  problems: Problems,
): CompiledAction | undefined {
  if (!isObject(json)) {
    problems.add(pointer, 'must be an action: { type, with }.');
    return undefined;
  }
  problems.unknownKeys(json, ['type', 'with'], pointer);
  const { type } = json;
  if (typeof type !== 'string') {
    problems.oneOf(type, actionTypes, `${pointer}/type`);
    return undefined;
  }
  const kind: Partial<ActionKind> & Pick<ActionKind, 'request'> = isBuiltIn(type) ? KINDS[type] : pluginKind(type);
  const given = json['with'] ?? {};
  if (!isObject(given)) {
    problems.add(`${pointer}/with`, 'must be an object.');
    return undefined;
  }
  if (kind.keys) problems.unknownKeys(given, Object.keys(kind.keys), `${pointer}/with`);
  for (const [key, isNeeded] of Object.entries(kind.keys ?? {}))
    if (isNeeded && (given[key] === undefined || given[key] === null || given[key] === ''))
      problems.add(`${pointer}/with/${key}`, 'is missing.');
  kind.check?.(given, `${pointer}/with`, problems);
  try {
    const template = compileTemplate(given as Json, `${pointer}/with`);
    return {
      type,
      templates: template.expressions,
      render: (event, cost) => template.render(event, cost),
      request: (event, asking, cost) => kind.request(template.render(event, cost) as JsonObject, asking, rule),
    };
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    for (const { pointer: at, detail, code } of error.problems) problems.add(at, detail, code);
    return undefined;
  }
}

/** Text as an interpolated template would have it: nothing for null, JSON for what is not a string. */
const text = (value: Json | undefined): string =>
  value === null || value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);

const texts = (value: Json): string[] => (Array.isArray(value) ? value.map(text) : [text(value)]).filter(Boolean);

function needed(filled: JsonObject, key: string): string {
  const value = text(filled[key]);
  if (value === '') throw unfit(key, 'a text', filled[key] ?? null);
  return value;
}

function optional<Key extends string>(filled: JsonObject, ...keys: readonly Key[]): { [K in Key]?: string } {
  const given: { [K in Key]?: string } = {};
  for (const key of keys) {
    const value = text(filled[key]);
    if (value !== '') given[key] = value;
  }
  return given;
}

const unfit = (key: string, wanted: string, value: unknown): Rejected =>
  new Rejected(
    'invalid',
    'action.unfit',
    `"${key}" must be ${wanted} once it is filled in, but is ${typeName(value)}.`,
  );

const typeName = (value: unknown): string =>
  value === null ? 'null' : value === '' ? 'empty' : Array.isArray(value) ? 'an array' : `a ${typeof value}`;
