import type { Static } from '@sinclair/typebox';

import { type Author, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import type { WebhookSettings } from '#libs/events/src/webhook.events.js';

import type { Webhook } from './webhook.js';

export type Settings = Static<typeof WebhookSettings>;

export class RegisterWebhook extends ThingCommand<Webhook> {
  constructor(
    id: string,
    author: Author,
    readonly settings: Settings,
    /** Reference of its secret. */
    readonly secret: string,
    readonly disabled: boolean,
  ) {
    super(id, author);
  }
}

/** Absent fields stay as they are; `null` takes an optional one away. */
export type SettingsChange = {
  readonly [K in keyof Settings]?: Settings[K] | (undefined extends Settings[K] ? null : never);
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
