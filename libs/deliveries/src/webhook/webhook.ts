import { afterRotation, type PreviousSecret } from '#libs/access/src/secrets/secret-rotation.js';
import { slice, type Author, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import type { EventDraft } from '#libs/event-store/src/new-event.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import type { WebhookSettings } from '#libs/events/src/shapes/webhook-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { canonicalJson } from '#libs/kernel/src/json.js';

interface Registered {
  readonly orgId: string;
  readonly settings: WebhookSettings;
  readonly secret: string;
  readonly previous: readonly PreviousSecret[];
}

interface Disabled {
  readonly reason: DataOf<'webhook.disabled'>['reason'];
  readonly detail?: string | undefined;
}

/**
 * An outbound webhook: `unknown` until it is registered; `active` while it gets events; `disabled` by hand, by a
 * receiver that answered 410 or after five days of failures, until it is enabled; `deleted` permanently.
 */
export type Webhook =
  | { readonly kind: 'unknown' }
  | (Registered & { readonly kind: 'active'; readonly since: Date })
  | (Registered & Disabled & { readonly kind: 'disabled' })
  | { readonly kind: 'deleted' };

const registered = (state: Webhook): Registered => {
  if (state.kind === 'active' || state.kind === 'disabled') return state;
  throw new Error(`a webhook that is ${state.kind} has no settings`);
};

export const webhook = slice<Webhook>()({
  name: 'webhook',
  stream: streams.webhook,
  initial: { kind: 'unknown' },
  evolve: {
    'webhook.registered': (_, { settings, secret, disabled }, { metadata }) => {
      const common = { orgId: metadata.orgId, settings, secret, previous: [] };
      return disabled
        ? { ...common, kind: 'disabled', reason: 'manual' }
        : { ...common, kind: 'active', since: new Date(metadata.timestamp) };
    },
    'webhook.updated': (state, { settings }) =>
      state.kind === 'active' || state.kind === 'disabled' ? { ...state, settings } : state,
    'webhook.secret_rotated': (state, { secret, previous }) =>
      state.kind === 'active' || state.kind === 'disabled' ? { ...state, secret, previous } : state,
    'webhook.enabled': (state, _, { metadata }) => ({
      ...registered(state),
      kind: 'active',
      since: new Date(metadata.timestamp),
    }),
    'webhook.disabled': (state, { reason, detail }) => ({ ...registered(state), kind: 'disabled', reason, detail }),
    'webhook.deleted': () => ({ kind: 'deleted' }),
    'webhook.test': (state) => state,
    'webhook.recovery_requested': (state) => state,
  },
  hasEnded: ({ kind }) => kind === 'deleted',
});

type Own =
  | 'webhook.registered'
  | 'webhook.updated'
  | 'webhook.secret_rotated'
  | 'webhook.enabled'
  | 'webhook.disabled'
  | 'webhook.deleted'
  | 'webhook.test'
  | 'webhook.recovery_requested';
type Drafts = readonly EventDraft<Own>[];

const TEST_MESSAGE = 'This is a test delivery from Millrace. Answer with any 2xx status.';
const testOf = (webhookId: string): EventDraft<'webhook.test'> => ({
  type: 'webhook.test',
  data: { webhookId, message: TEST_MESSAGE },
});

/**
 * Sets a webhook up, with a test delivery if it is switched on. An id that exists was derived from an `Idempotency-Key`:
 * the same request again changes nothing but tries the receiver again.
 */
export function register(state: Webhook, { id, settings, secret, disabled }: RegisterWebhook): Drafts {
  const test = disabled ? [] : [testOf(id)];
  if (state.kind === 'unknown')
    return [{ type: 'webhook.registered', data: { webhookId: id, settings, secret, disabled } }, ...test];
  if (state.kind === 'deleted' || canonicalJson(state.settings) !== canonicalJson(settings))
    throw new Rejected(
      'conflict',
      'webhook.exists',
      'This Idempotency-Key was used for another webhook. Use a new key for a new one, or PATCH the existing one.',
    );
  return test;
}

export function update(state: Webhook, { id, change }: UpdateWebhook): Drafts {
  const { settings } = existing(state, id);
  if (
    change.url !== undefined &&
    change.headers === undefined &&
    settings.headers &&
    isElsewhere(settings.url, change.url)
  )
    throw new Rejected(
      'invalid',
      'webhook.headers_needed',
      'The URL has another host, and the stored header values belong to the previous host. Send headers again with their values, or null for none.',
      { problems: [{ pointer: '/headers', detail: 'Must be sent when the url has another host.' }] },
    );
  const merged = { ...settings, ...change };
  const next = Object.fromEntries(
    Object.entries(merged).filter(([, value]) => value !== null && value !== undefined),
  ) as WebhookSettings;
  return canonicalJson(next) === canonicalJson(settings)
    ? []
    : [{ type: 'webhook.updated', data: { webhookId: id, settings: next } }];
}

const isElsewhere = (before: string, after: string): boolean => new URL(before).origin !== new URL(after).origin;

/** How many earlier secrets may be in their time of grace at once: each adds a signature to every delivery. */
const MAX_PREVIOUS = 2;

export function rotateSecret(state: Webhook, { id, secret, graceSeconds }: RotateWebhookSecret, now: Date): Drafts {
  const { secret: current, previous } = existing(state, id);
  if (current === secret) return [];
  const kept = afterRotation({ current, previous }, graceSeconds, now, MAX_PREVIOUS);
  return [{ type: 'webhook.secret_rotated', data: { webhookId: id, secret, previous: kept } }];
}

export function enable(state: Webhook, { id }: EnableWebhook): Drafts {
  existing(state, id);
  return state.kind === 'active' ? [] : [{ type: 'webhook.enabled', data: { webhookId: id } }];
}

/** Switches off. What the engine itself asks for never fails: the webhook may be gone or mended meanwhile. */
export function disable(state: Webhook, { id, reason, detail, failedAt }: DisableWebhook): Drafts {
  if (reason === 'manual') existing(state, id);
  if (state.kind !== 'active' || (failedAt !== undefined && state.since > failedAt)) return [];
  return [{ type: 'webhook.disabled', data: { webhookId: id, reason, detail } }];
}

export function remove(state: Webhook, { id }: DeleteWebhook): Drafts {
  if (state.kind === 'deleted') return [];
  existing(state, id);
  return [{ type: 'webhook.deleted', data: { webhookId: id } }];
}

/** A disabled webhook may be tested: how else would one know that it can be enabled. */
export function test(state: Webhook, { id }: TestWebhook): Drafts {
  existing(state, id);
  return [testOf(id)];
}

export function recover(state: Webhook, { id, since }: RecoverWebhook, now: Date): Drafts {
  existing(state, id);
  if (state.kind === 'disabled')
    throw new Rejected(
      'conflict',
      'webhook.disabled',
      'This webhook is disabled: it gets no deliveries. Enable it first: PATCH { "disabled": false }.',
    );
  if (since > now)
    throw new Rejected(
      'invalid',
      'webhook.since_future',
      '`since` must be a time in the past: when the outage began.',
      {
        problems: [{ pointer: '/since', detail: 'Must be a time in the past.' }],
      },
    );
  return [{ type: 'webhook.recovery_requested', data: { webhookId: id, since: since.toISOString() } }];
}

function existing(state: Webhook, id: string): Registered {
  if (state.kind === 'active' || state.kind === 'disabled') return state;
  throw webhookNotFound(id);
}

export const webhookNotFound = (id: string): Rejected =>
  new Rejected(
    'not_found',
    'webhook.not_found',
    `There is no outbound webhook ${id}. GET /api/v1/outbound-webhooks lists the existing ones.`,
  );

export class RegisterWebhook extends ThingCommand<Webhook> {
  constructor(
    id: string,
    author: Author,
    readonly settings: WebhookSettings,
    /** Reference of its secret. */
    readonly secret: string,
    readonly disabled: boolean,
  ) {
    super(id, author);
  }
}

/** Absent fields stay as they are; `null` removes an optional one. */
export type SettingsChange = {
  readonly [K in keyof WebhookSettings]?: WebhookSettings[K] | (undefined extends WebhookSettings[K] ? null : never);
};

export class UpdateWebhook extends ThingCommand<Webhook> {
  constructor(
    id: string,
    author: Author,
    readonly change: SettingsChange,
  ) {
    super(id, author);
  }
}

export class RotateWebhookSecret extends ThingCommand<Webhook> {
  constructor(
    id: string,
    author: Author,
    /** Reference of the new secret. */
    readonly secret: string,
    /** How long deliveries carry the signature of the one before too. */
    readonly graceSeconds: number,
  ) {
    super(id, author);
  }
}

export class EnableWebhook extends ThingCommand<Webhook> {}

export class DisableWebhook extends ThingCommand<Webhook> {
  constructor(
    id: string,
    author: Author,
    readonly reason: 'manual' | 'gone' | 'failing',
    readonly detail: string,
    /** When the failure was that speaks against it: a webhook that was enabled since is left alone. */
    readonly failedAt?: Date,
  ) {
    super(id, author);
  }
}

export class DeleteWebhook extends ThingCommand<Webhook> {}

export class TestWebhook extends ThingCommand<Webhook> {}

export class RecoverWebhook extends ThingCommand<Webhook> {
  constructor(
    id: string,
    author: Author,
    readonly since: Date,
  ) {
    super(id, author);
  }
}
