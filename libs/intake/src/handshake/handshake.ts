import { type Author, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import type { EventDraft } from '#libs/event-store/src/new-event.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { exists, found, type Integration } from '../integration/integration.js';

/**
 * Some senders give their secret away when they check the address, and some want a subscription confirmed. An integration
 * without a secret adopts the first one that is offered; later ones only while an administrator has opened it for that.
 */
type Drafts<T extends `integration.handshake_${string}`> = readonly Extract<EventDraft, { type: T }>[];

/** How long a sender may give a new secret away once an administrator has opened the integration for it. */
export const HANDSHAKE_OPEN_MS = 600_000;

export class OpenHandshake extends ThingCommand<Integration> {}

export function openHandshake(
  state: Integration,
  command: OpenHandshake,
  now: Date,
): Drafts<'integration.handshake_opened'> {
  found(state, command);
  const until = new Date(now.getTime() + HANDSHAKE_OPEN_MS).toISOString();
  return [{ type: 'integration.handshake_opened', data: { integrationId: command.id, until } }];
}

export class AdoptSecret extends ThingCommand<Integration> {
  constructor(
    id: string,
    author: Author,
    /** Reference of the secret that the sender gave away. */
    readonly secret: string,
    /** Administrators may read it until the first event. */
    readonly shown: boolean,
  ) {
    super(id, author);
  }
}

/** Of two that come at the same moment the first wins: the other finds a secret. */
export function adoptSecret(
  state: Integration,
  command: AdoptSecret,
  now: Date,
): Drafts<'integration.handshake_adopted'> {
  const { secret: before, handshake } = found(state, command);
  const isOpen = handshake?.openUntil !== undefined && Date.parse(handshake.openUntil) > now.getTime();
  if (before !== undefined && !isOpen)
    throw new Rejected('conflict', 'integration.has_secret', 'This integration already has a secret.');
  const { id, secret, shown } = command;
  return [{ type: 'integration.handshake_adopted', data: { integrationId: id, secret, shown } }];
}

export class AwaitConfirmation extends ThingCommand<Integration> {
  constructor(
    id: string,
    author: Author,
    readonly url: string,
  ) {
    super(id, author);
  }
}

export function awaitConfirmation(
  state: Integration,
  command: AwaitConfirmation,
): Drafts<'integration.handshake_pending'> {
  if (found(state, command).handshake?.confirmUrl === command.url) return [];
  return [{ type: 'integration.handshake_pending', data: { integrationId: command.id, url: command.url } }];
}

/** That somebody read what is shown of a handshake is recorded. */
export class ShowHandshake extends ThingCommand<Integration> {}

export function showHandshake(state: Integration, command: ShowHandshake): Drafts<'integration.handshake_shown'> {
  found(state, command);
  return [{ type: 'integration.handshake_shown', data: { integrationId: command.id } }];
}

export class FinishHandshake extends ThingCommand<Integration> {}

export function finishHandshake(
  state: Integration,
  command: FinishHandshake,
): Drafts<'integration.handshake_finished'> {
  if (!exists(state) || state.handshake === undefined) return [];
  return [{ type: 'integration.handshake_finished', data: { integrationId: command.id } }];
}
