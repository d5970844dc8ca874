import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';

import { slice, type Author, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import type { EventDraft } from '#libs/event-store/src/new-event.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { ENGINE } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { randomText } from '#libs/kernel/src/ids.js';

import type { Role } from '../caller.js';

/**
 * An API token. `unknown` until it is created; `active` until it is revoked (an expired one stays active and is refused
 * by the clock); `revoked` is final, except for a bootstrap token that another one replaced: the operator may put it back.
 */
export type Token =
  | { readonly kind: 'unknown' }
  | {
      readonly kind: 'active';
      readonly hash: string;
      readonly createdAt: Date;
      readonly settings: TokenSettings;
      readonly bootstrap: boolean;
    }
  | { readonly kind: 'revoked'; readonly by: string };

export const token = slice<Token>()({
  name: 'token',
  stream: streams.token,
  initial: { kind: 'unknown' },
  evolve: {
    'token.created': (_, { hash, bootstrap, ...given }, { metadata }) => ({
      kind: 'active',
      hash,
      createdAt: new Date(metadata.timestamp),
      settings: tokenSettings(given),
      bootstrap: bootstrap === true,
    }),
    'token.updated': (state, given) => (state.kind === 'active' ? { ...state, settings: tokenSettings(given) } : state),
    'token.revoked': (_, __, { metadata }) => ({ kind: 'revoked', by: metadata.actor }),
  },
});

type Drafts = readonly EventDraft<'token.created' | 'token.updated' | 'token.revoked'>[];

/** What can be changed of a token. */
export interface TokenSettings {
  readonly name: string;
  readonly roles: readonly Role[];
  /** Absent: it is valid until it is revoked. */
  readonly expiresAt?: Date | undefined;
}

/** As the events of a token have them. */
export const tokenSettings = ({
  name,
  roles,
  expiresAt,
}: Pick<DataOf<'token.updated'>, 'name' | 'roles' | 'expiresAt'>): TokenSettings => ({
  name,
  roles,
  expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt),
});

/** How long an `Idempotency-Key` speaks for its request. */
export const IDEMPOTENCY_HOURS = 24;

/**
 * Creates a token. Where the id follows from an `Idempotency-Key` and exists already, an earlier try of the same request
 * ended between its append and its answer: nobody has seen that token, so this one takes its place.
 */
export function createToken(state: Token, command: CreateToken, now: Date): Drafts {
  refusePast(command.expiresAt, now);
  const unseen = state.kind === 'active' && now.getTime() - state.createdAt.getTime() < IDEMPOTENCY_HOURS * 3_600_000;
  if (state.kind !== 'unknown' && !unseen)
    throw new Rejected(
      'conflict',
      'token.exists',
      'This Idempotency-Key was used for a token more than 24 hours ago. Use a new key for another.',
    );
  return [created(command)];
}

/**
 * Makes the operator's token valid, unless it is; a generated one only where there never was one. What a person revoked
 * stays revoked: the environment still holding it is no reason to let it in again.
 */
export function installBootstrapToken(state: Token, command: InstallBootstrapToken): Drafts {
  const settled =
    command.origin === 'generated'
      ? state.kind !== 'unknown'
      : (state.kind === 'active' && state.hash === command.hash) || (state.kind === 'revoked' && state.by !== ENGINE);
  return settled ? [] : [created({ ...command, bootstrap: true })];
}

/** Changes a token. One from the configuration stays as it is: the next start would not know of the change. */
export function updateToken(state: Token, { id, changes }: UpdateToken, now: Date): Drafts {
  if (state.kind !== 'active') throw tokenNotFound(id);
  if (state.bootstrap)
    throw new Rejected(
      'conflict',
      'token.bootstrap',
      'This token comes from MILLRACE_ADMIN_TOKEN or the first start. Create another one, and revoke this one.',
    );
  const { name, roles, expiresAt } = { ...state.settings, ...changes };
  if (changes.expiresAt !== undefined) refusePast(changes.expiresAt, now);
  const before = settingsData(state.settings);
  const after = settingsData({ name, roles, expiresAt });
  return isDeepStrictEqual(before, after) ? [] : [{ type: 'token.updated', data: { tokenId: id, ...after } }];
}

function refusePast(expiresAt: Date | undefined, now: Date): void {
  if (expiresAt === undefined || expiresAt > now) return;
  throw new Rejected('invalid', 'token.expiry_past', 'expiresAt must be a time in the future.', {
    problems: [{ pointer: '/expiresAt', detail: 'Must be a time in the future.' }],
  });
}

const settingsData = ({ name, roles, expiresAt }: TokenSettings) => ({
  name,
  roles: [...roles],
  ...(expiresAt && { expiresAt: expiresAt.toISOString() }),
});

export const tokenNotFound = (id: string): Rejected =>
  new Rejected(
    'not_found',
    'token.not_found',
    `There is no valid token ${id}. GET /api/v1/tokens lists the existing ones.`,
  );

export function revokeToken(state: Token, command: RevokeToken): Drafts {
  if (state.kind === 'unknown') throw tokenNotFound(command.id);
  return state.kind === 'revoked' ? [] : [{ type: 'token.revoked', data: { tokenId: command.id } }];
}

function created(command: {
  readonly id: string;
  readonly name: string;
  readonly hash: string;
  readonly roles: readonly Role[];
  readonly expiresAt?: Date | undefined;
  readonly bootstrap?: true;
}): EventDraft<'token.created'> {
  const { id, name, hash, roles, expiresAt, bootstrap } = command;
  return {
    type: 'token.created',
    data: {
      tokenId: id,
      hash,
      ...settingsData({ name, roles, expiresAt }),
      ...(bootstrap && { bootstrap }),
    },
  };
}

/** A new token's text: `mr_` and 43 characters over 256 random bits. */
export const newTokenText = (): string => `mr_${randomText(32)}`;

/** Under which a token is known. One SHA-256 is enough: the text has 256 random bits, nothing to guess or to list. */
export const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

export class CreateToken extends ThingCommand<Token> {
  constructor(
    id: string,
    author: Author,
    readonly name: string,
    /** SHA-256 of its text, hex. */
    readonly hash: string,
    readonly roles: readonly Role[],
    readonly expiresAt?: Date,
  ) {
    super(id, author);
  }
}

/** The operator's own token, from `MILLRACE_ADMIN_TOKEN` or generated at the first start. */
export class InstallBootstrapToken extends ThingCommand<Token> {
  readonly name = 'bootstrap';
  readonly roles: readonly Role[] = ['admin'];
  constructor(
    id: string,
    author: Author,
    readonly hash: string,
    /** A configured token replaces what is there; a generated one gives way to the first one. */
    readonly origin: 'configured' | 'generated',
  ) {
    super(id, author);
  }
}

export class UpdateToken extends ThingCommand<Token> {
  constructor(
    id: string,
    author: Author,
    /** `expiresAt: undefined` that is given takes the expiry away. */
    readonly changes: Partial<TokenSettings>,
    expectedRevision?: bigint,
  ) {
    super(id, author, expectedRevision);
  }
}

export class RevokeToken extends ThingCommand<Token> {}
